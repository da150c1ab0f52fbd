//! How a session stands within a request, without any effect.

use std::sync::Arc;

use bytes::Bytes;

use crate::cookie::Cookie;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::{Options, Unset};
use crate::policy::Facts;
use crate::record::{Attributes, Record};

/// What one request knows of its session: the state machine of express-session's `index.js`.
pub(crate) struct State {
    pub(crate) id: SessionId,
    /// `None` once the session was destroyed or unset, or found to have ended elsewhere.
    pub(crate) record: Option<Record>,
    pub(crate) ending: Ending,
    /// The attributes and the id as this request found or made them.
    original: Arc<Attributes>,
    original_id: SessionId,
    /// The attributes as last stored; `None` while that does not count as saved.
    saved: Option<Arc<Attributes>>,
    /// What the store holds under the id as far as we know, with its parsed form; `None` if nothing.
    pub(crate) base: Option<(Bytes, Record)>,
    /// express-session wraps `save` of the sessions that its middleware made or loaded, to note
    /// what was saved. Sessions after `regenerate` are not wrapped, and always saved at the end.
    notes_saves: bool,
}

/// How a session without a record lost it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was not destroyed in the store: `unset`.
    Unset,
    Destroyed,
    /// A write found that it had ended elsewhere.
    Gone,
}

/// How a session stands when its request ends.
#[derive(Debug)]
pub(crate) enum Finished {
    Alive { id: SessionId, cookie: Box<Cookie>, facts: Facts },
    Ended { id: SessionId, ending: Ending },
}

impl Finished {
    /// Whether the stored session is to be destroyed: `shouldDestroy` of express-session, which
    /// also asks for it again after an explicit `destroy`.
    pub(crate) fn destroys(&self, options: &Options) -> bool {
        let Self::Ended { ending, .. } = self else { return false };
        options.unset == Unset::Destroy && (options.strict || *ending == Ending::Unset)
    }
}

impl State {
    /// A session that no store knows yet.
    pub(crate) fn new(id: SessionId, record: Record) -> Self {
        Self {
            original: Arc::clone(&record.attributes),
            original_id: id.clone(),
            id,
            record: Some(record),
            ending: Ending::Unset,
            saved: None,
            base: None,
            notes_saves: true,
        }
    }

    /// A session as it was read. With `resave` that does not count as saved.
    pub(crate) fn loaded(id: SessionId, stored: Bytes, record: Record, resave: bool) -> Self {
        let saved = (!resave).then(|| Arc::clone(&record.attributes));
        let base = Some((stored, record.clone()));
        Self { saved, base, ..Self::new(id, record) }
    }

    /// Goes on as a new session, whose saves are not noted.
    pub(crate) fn regenerate(&mut self, id: SessionId, record: Record) {
        self.id = id;
        self.record = Some(record);
        self.base = None;
        self.notes_saves = false;
    }

    pub(crate) fn record(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or_else(|| ErrorKind::NoSession.into())
    }

    pub(crate) fn record_mut(&mut self) -> Result<&mut Record, Error> {
        self.record.as_mut().ok_or_else(|| ErrorKind::NoSession.into())
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        self.record = None;
        self.ending = ending;
    }

    /// The session's state `before` a save was stored as `written`, perhaps merged into `record`.
    /// What the handler changed while the store was at work is kept, as a change since then.
    pub(crate) fn note_saved(&mut self, before: &Record, record: Record, written: Option<Bytes>) {
        if let Some(now) = &self.record {
            self.record = Some(merge(before, now, &record));
        }
        if self.notes_saves {
            self.saved = Some(Arc::clone(&record.attributes));
        }
        self.base = written.map(|bytes| (bytes, record));
    }

    /// How the session stands at the end of the request; its cookie's lifetime starts again.
    pub(crate) fn finish(
        &mut self,
        cookie_ids: &[SessionId],
        now_ms: f64,
    ) -> Result<Finished, Error> {
        let Some(record) = &mut self.record else {
            return Ok(Finished::Ended { id: self.id.clone(), ending: self.ending });
        };
        record.cookie.touch(now_ms)?;
        let attributes = &record.attributes;
        let same_id = self.id == self.original_id;
        let facts = Facts {
            named_by_cookie: cookie_ids.contains(&self.id),
            modified: !same_id || !attributes.same_as(&self.original),
            saved: same_id && self.saved.as_ref().is_some_and(|saved| attributes.same_as(saved)),
            ever_saved: self.saved.is_some(),
            expires: !record.cookie.expires.is_nullish(),
        };
        Ok(Finished::Alive { id: self.id.clone(), cookie: Box::new(record.cookie.clone()), facts })
    }
}
