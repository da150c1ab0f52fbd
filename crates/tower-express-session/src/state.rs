//! How a session stands within a request, without any effect.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::cookie::{Cookie, Slot};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::{Options, Unset};
use crate::policy::{self, Facts};
use crate::record::{Attributes, Record};
use crate::request::RequestFacts;
use crate::store::Stored;

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
    /// What the store holds under the id as far as we know; `None` if nothing.
    pub(crate) base: Option<Base>,
    /// The cookie that the browser has, if it has one of this session.
    browser_cookie: Option<Box<Cookie>>,
    /// The response has started: what is changed now would not be stored.
    is_answered: bool,
    /// Stands in for a session that could not be read: nothing of it may be stored.
    pub(crate) is_stand_in: bool,
    /// The number that it was, or is to be, created with.
    pub(crate) epoch: Option<u64>,
    /// What was left of its time in the store when it was read or written.
    time_left: Duration,
    /// When it was read or written, in milliseconds since 1970; `None` if the store does not have it.
    seen_ms: Option<f64>,
    /// express-session wraps `save` of the sessions that its middleware made or loaded, to note
    /// what was saved. Sessions after `regenerate` are not wrapped, and always saved at the end.
    notes_saves: bool,
}

/// What the store holds.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) value: Bytes,
    pub(crate) record: Record,
}

/// What a write left in the store.
pub(crate) struct Written {
    pub(crate) value: Bytes,
    pub(crate) ttl: Duration,
}

/// What a save goes on from.
pub(crate) enum Basis {
    /// This is stored.
    Stored(Box<Base>),
    /// Nothing is stored; the session is to be created with this epoch.
    New { epoch: Option<u64> },
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
    Alive {
        id: SessionId,
        cookie: Box<Cookie>,
        facts: Facts,
    },
    Ended {
        id: SessionId,
        ending: Ending,
    },
    /// There is nothing to store, and nothing to tell the browser.
    Nothing,
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
            epoch: None,
            browser_cookie: None,
            is_answered: false,
            time_left: Duration::ZERO,
            seen_ms: None,
            is_stand_in: false,
            notes_saves: true,
        }
    }

    /// An empty session in place of one that could not be read.
    pub(crate) fn stand_in(id: SessionId, record: Record) -> Self {
        Self { is_stand_in: true, ..Self::new(id, record) }
    }

    /// A session as it was read. With `resave` that does not count as saved.
    pub(crate) fn loaded(
        id: SessionId,
        stored: Stored,
        record: Record,
        resave: bool,
        now_ms: f64,
    ) -> Self {
        let saved = (!resave).then(|| Arc::clone(&record.attributes));
        let Stored { value, time_left, epoch } = stored;
        let browser_cookie = Some(Box::new(record.cookie.clone()));
        let base = Some(Base { value, record: record.clone() });
        let seen_ms = Some(now_ms);
        Self { saved, base, browser_cookie, time_left, seen_ms, epoch, ..Self::new(id, record) }
    }

    /// Takes up what the store holds now, in place of what this request changed.
    pub(crate) fn reload(&mut self, stored: Stored, record: Record, now_ms: f64) {
        let Stored { value, time_left, epoch } = stored;
        self.base = Some(Base { value, record: record.clone() });
        self.record = Some(record);
        self.time_left = time_left;
        self.seen_ms = Some(now_ms);
        self.epoch = epoch;
    }

    /// Goes on as a new session, whose saves are not noted.
    pub(crate) fn regenerate(&mut self, id: SessionId, record: Record, epoch: Option<u64>) {
        self.id = id;
        self.epoch = epoch;
        self.record = Some(record);
        self.base = None;
        self.seen_ms = None;
        self.notes_saves = false;
    }

    /// Goes on under another id, under which the session is stored already.
    pub(crate) fn renew(
        &mut self,
        before: &Record,
        id: SessionId,
        record: Record,
        written: Written,
        now_ms: f64,
    ) {
        self.id = id;
        self.notes_saves = true;
        self.note_saved(before, record, Some(written), now_ms);
    }

    /// Goes on under another id, as a session that is not stored yet.
    pub(crate) fn rename(&mut self, id: SessionId) {
        self.id = id;
    }

    /// When the store ends the session if nothing uses it, as it stood when it was last read or
    /// written; in milliseconds since 1970.
    pub(crate) fn expires_ms(&self) -> Option<f64> {
        Some(self.seen_ms? + self.time_left.as_secs_f64() * 1000.0)
    }

    /// Whether this request changed the session.
    pub(crate) fn is_modified(&self) -> bool {
        let is_same = |record: &Record| record.attributes.same_as(&self.original);
        self.id != self.original_id || !self.record.as_ref().is_some_and(is_same)
    }

    pub(crate) fn basis(&self) -> Basis {
        match self.base.clone() {
            Some(base) => Basis::Stored(Box::new(base)),
            None => Basis::New { epoch: self.epoch },
        }
    }

    pub(crate) fn record(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or_else(|| ErrorKind::NoSession.into())
    }

    /// Whether the session has an attribute of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.attributes.get(name.as_bytes()).is_some())
    }

    /// The names of the attributes, in their order. Lone surrogates in names become U+FFFD.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.record.iter().flat_map(|record| record.attributes.iter());
        names.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// The record, to change it.
    pub(crate) fn record_mut(&mut self) -> Result<&mut Record, Error> {
        self.check_open()?;
        self.record.as_mut().ok_or_else(|| ErrorKind::NoSession.into())
    }

    /// Whether changes are still stored at the end of the request.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_answered { Err(ErrorKind::Answered.into()) } else { Ok(()) }
    }

    /// From now on changes are refused, since nothing would store them.
    pub(crate) fn close(&mut self) {
        self.is_answered = true;
    }

    /// Takes the place of this state, for the same request.
    pub(crate) fn replace(&mut self, state: Self) {
        *self = Self { is_answered: self.is_answered, ..state };
    }

    /// The cookie that the browser has of the session that the request began with.
    pub(crate) fn browser_cookie(&self) -> Option<&Cookie> {
        self.browser_cookie.as_deref()
    }

    /// The same, if it would stay beside the cookie of the session as it is now: browsers tell cookies
    /// of one name apart by domain, path and partition.
    pub(crate) fn left_behind(&self) -> Option<&Cookie> {
        let (old, new) = (self.browser_cookie()?, &self.record.as_ref()?.cookie);
        let place = |cookie: &Cookie| {
            let text = |slot: &Slot| match slot {
                Slot::Text(text) => text.clone(),
                _ => String::new(),
            };
            let domain = text(&cookie.domain).trim_start_matches('.').to_ascii_lowercase();
            (domain, text(&cookie.path), cookie.partitioned.is_truthy())
        };
        (self.id != self.original_id && place(old) != place(new)).then_some(old)
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        self.record = None;
        self.ending = ending;
    }

    /// The session's state `before` a save was stored as `written`, perhaps merged into `record`.
    /// What the handler changed while the store was at work is kept, as a change since then.
    pub(crate) fn note_saved(
        &mut self,
        before: &Record,
        record: Record,
        written: Option<Written>,
        now_ms: f64,
    ) {
        if let Some(now) = &self.record {
            self.record = Some(merge(before, now, &record));
        }
        if self.notes_saves {
            self.saved = Some(Arc::clone(&record.attributes));
        }
        self.time_left = written.as_ref().map_or(Duration::ZERO, |written| written.ttl);
        self.seen_ms = written.as_ref().map(|_| now_ms);
        self.base = written.map(|written| Base { value: written.value, record });
    }

    /// Whether this request gave the session this attribute, or a new id.
    pub(crate) fn was_given(&self, name: &str) -> bool {
        let now = self.record.as_ref().and_then(|record| record.attributes.raw(name.as_bytes()));
        self.id != self.original_id || now != self.original.raw(name.as_bytes())
    }

    /// How the session stands at the end of the request; its cookie's lifetime starts again.
    pub(crate) fn finish(
        &mut self,
        request: &RequestFacts,
        options: &Options,
        now_ms: f64,
    ) -> Result<Finished, Error> {
        let Some(record) = &mut self.record else {
            let (id, ending) = (self.id.clone(), self.ending);
            return Ok(if self.is_stand_in {
                Finished::Nothing
            } else {
                Finished::Ended { id, ending }
            });
        };
        record.cookie.touch(now_ms)?;
        let attributes = &record.attributes;
        if self.is_stand_in {
            let is_changed = !attributes.same_as(&self.original);
            return if is_changed {
                Err(ErrorKind::Unavailable.into())
            } else {
                Ok(Finished::Nothing)
            };
        }
        let same_id = self.id == self.original_id;
        let named = request.ids.iter().find(|unsigned| unsigned.id == self.id);
        let lifetime = record.cookie.time_to_live(now_ms, options.ttl);
        let facts = Facts {
            named_by_cookie: named.is_some(),
            modified: !same_id || !attributes.same_as(&self.original),
            // Of a regenerated session no save counts, as in Express; a renewed one is stored already.
            saved: (same_id || self.notes_saves)
                && self.saved.as_ref().is_some_and(|saved| attributes.same_as(saved)),
            ever_saved: self.saved.is_some(),
            expires: !record.cookie.expires.is_nullish(),
            touch_due: options.strict
                || lifetime.is_none_or(|lifetime| {
                    policy::touch_due(self.time_left, lifetime, options.touch_after)
                }),
            signed_by_old_secret: !options.strict && named.is_some_and(|named| named.by_old_secret),
        };
        Ok(Finished::Alive { id: self.id.clone(), cookie: Box::new(record.cookie.clone()), facts })
    }
}
