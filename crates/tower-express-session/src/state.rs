//! The state of a session within a request, without side effects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::cookie::{Cookie, JsValue};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::{Options, Unset};
use crate::policy::{self, Facts};
use crate::record::{Attributes, Record};
use crate::request::RequestFacts;
use crate::store::Stored;

/// The state of a session in one request: the state machine of express-session's `index.js`.
pub(crate) struct State {
    pub(crate) id: SessionId,
    /// `None` after the session was destroyed or unset, or was found to have ended elsewhere.
    pub(crate) record: Option<Record>,
    pub(crate) ending: Ending,
    /// The attributes and the id as this request loaded or created them.
    original: Arc<Attributes>,
    original_id: SessionId,
    /// The attributes as last stored; `None` while the session does not count as saved.
    saved: Option<Arc<Attributes>>,
    /// The stored session under the id, as last seen; `None` if there is none.
    pub(crate) base: Option<Base>,
    /// The session as it was directly after a login in this request, which ended the previous
    /// session in the store.
    begun: Option<Record>,
    /// The cookie that the browser has for this session, if any.
    browser_cookie: Option<Arc<Cookie>>,
    /// Whether the response has started, so that changes can no longer be stored.
    is_answered: bool,
    /// Whether it replaces a session that could not be read, and so must not be stored.
    pub(crate) is_stand_in: bool,
    /// Whether the last attempt of this request to store it failed, or was dropped.
    pub(crate) save_failed: bool,
    /// The epoch that it was, or will be, created with.
    pub(crate) epoch: Option<u64>,
    /// The rest of its time to live when it was read or written.
    time_left: Duration,
    /// Whether no touch prolongs it, as of the last read.
    pub(crate) is_final: bool,
    /// When it was read or written, in milliseconds since 1970; `None` if the store does not have it.
    seen_ms: Option<f64>,
    /// Whether saves are recorded. express-session wraps `save` of the sessions that its middleware
    /// created or loaded, to record what was saved. Sessions after `regenerate` are not wrapped,
    /// and are always saved at the end.
    notes_saves: bool,
}

/// The stored session, as last seen.
#[derive(Clone)]
pub(crate) struct Base {
    pub(crate) value: Bytes,
    pub(crate) record: Record,
}

/// The result of a write.
pub(crate) struct Written {
    pub(crate) value: Bytes,
    pub(crate) ttl: Duration,
}

/// The starting point of a save.
pub(crate) enum Basis {
    /// The session is stored.
    Stored(Base),
    /// The session is not stored yet, and will be created with this epoch.
    New { epoch: Option<u64> },
}

/// Why a session has no record any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was unset, without being destroyed in the store.
    Unset,
    Destroyed,
    /// A write found that it had been ended elsewhere.
    Gone,
}

/// The state of a session at the end of its request.
#[derive(Debug)]
pub(crate) enum Finished {
    Alive {
        id: SessionId,
        cookie: Arc<Cookie>,
        facts: Facts,
    },
    Ended {
        id: SessionId,
        ending: Ending,
    },
    /// There is nothing to store, and no cookie to send.
    Nothing,
}

impl Finished {
    /// Returns whether the stored session must be destroyed: `shouldDestroy` of express-session,
    /// which is also true after an explicit `destroy`.
    pub(crate) fn destroys(&self, options: &Options) -> bool {
        let Self::Ended { ending, .. } = self else { return false };
        options.unset == Unset::Destroy && (options.strict || *ending == Ending::Unset)
    }
}

impl State {
    /// Returns a session that is not stored yet.
    pub(crate) fn new(id: SessionId, record: Record) -> Self {
        Self {
            original: Arc::clone(&record.attributes),
            original_id: id.clone(),
            id,
            record: Some(record),
            ending: Ending::Unset,
            saved: None,
            base: None,
            begun: None,
            epoch: None,
            browser_cookie: None,
            is_answered: false,
            time_left: Duration::ZERO,
            is_final: false,
            seen_ms: None,
            is_stand_in: false,
            save_failed: false,
            notes_saves: true,
        }
    }

    /// Returns an empty session that replaces one that could not be read.
    pub(crate) fn stand_in(id: SessionId, record: Record) -> Self {
        Self { is_stand_in: true, ..Self::new(id, record) }
    }

    /// Returns a session as it was read. With `resave` it does not count as saved.
    pub(crate) fn loaded(
        id: SessionId,
        stored: Stored,
        record: Record,
        resave: bool,
        now_ms: f64,
    ) -> Self {
        let saved = (!resave).then(|| Arc::clone(&record.attributes));
        let Stored { value, time_left, epoch, is_final, .. } = stored;
        let browser_cookie = Some(Arc::clone(&record.cookie));
        let base = Some(Base { value, record: record.clone() });
        let seen_ms = Some(now_ms);
        Self {
            saved,
            base,
            browser_cookie,
            time_left,
            is_final,
            seen_ms,
            epoch,
            ..Self::new(id, record)
        }
    }

    /// Replaces the session by the stored one, and discards the changes of this request.
    pub(crate) fn reload(&mut self, stored: Stored, record: Record, now_ms: f64) {
        let Stored { value, time_left, epoch, is_final, .. } = stored;
        self.is_final = is_final;
        self.base = Some(Base { value, record: record.clone() });
        self.record = Some(record);
        self.time_left = time_left;
        self.seen_ms = Some(now_ms);
        self.epoch = epoch;
    }

    /// Continues as a new session, whose saves are not recorded.
    pub(crate) fn regenerate(&mut self, id: SessionId, record: Record, epoch: Option<u64>) {
        self.id = id;
        self.is_final = false;
        self.epoch = epoch;
        self.begun = Some(record.clone());
        self.record = Some(record);
        self.base = None;
        self.save_failed = false;
        self.seen_ms = None;
        self.notes_saves = false;
    }

    /// Continues under another id, under which the session is stored already.
    pub(crate) fn renew(
        &mut self,
        before: &Record,
        id: SessionId,
        record: Record,
        written: Written,
        now_ms: f64,
    ) {
        self.id = id;
        self.is_final = false;
        self.notes_saves = true;
        self.record_save(before, record, Some(written), now_ms);
    }

    /// Continues under another id, as a session that is not stored yet.
    pub(crate) fn rename(&mut self, id: SessionId) {
        self.id = id;
    }

    /// Discards the changes that are not stored. After a login in this request, the session is
    /// reset to its state directly after the login, because the previous session has ended.
    pub(crate) fn drop_changes(&mut self) {
        let Some(record) = &mut self.record else { return };
        match (&self.base, &self.begun) {
            (Some(Base { record: kept, .. }), _) | (None, Some(kept)) => *record = kept.clone(),
            (None, None) => {
                record.attributes = Arc::clone(&self.original);
                self.id = self.original_id.clone();
            }
        }
    }

    /// Returns whether the session got its id in this request, by a login or a renewal.
    pub(crate) fn has_new_id(&self) -> bool {
        self.id != self.original_id && self.record.is_some()
    }

    /// Returns when the session expires in the store if it is not used again, as of the last read
    /// or write; in milliseconds since 1970.
    pub(crate) fn expires_ms(&self) -> Option<f64> {
        Some(self.seen_ms? + self.time_left.as_secs_f64() * 1000.0)
    }

    /// Returns whether this request changed the session.
    pub(crate) fn is_modified(&self) -> bool {
        let is_same = |record: &Record| record.attributes.same_as(&self.original);
        self.id != self.original_id || !self.record.as_ref().is_some_and(is_same)
    }

    pub(crate) fn basis(&self) -> Basis {
        match self.base.clone() {
            Some(base) => Basis::Stored(base),
            None => Basis::New { epoch: self.epoch },
        }
    }

    pub(crate) fn record(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or_else(|| ErrorKind::NoSession.into())
    }

    /// Returns whether the session has an attribute with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.attributes.get(name.as_bytes()).is_some())
    }

    /// Returns the names of the attributes, in their order. Lone surrogates in names become U+FFFD.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.record.iter().flat_map(|record| record.attributes.iter());
        names.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// Returns the record, to change it.
    pub(crate) fn record_mut(&mut self) -> Result<&mut Record, Error> {
        self.check_open()?;
        self.record.as_mut().ok_or_else(|| ErrorKind::NoSession.into())
    }

    /// Checks that the response has not started, so that changes can still be stored.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_answered { Err(ErrorKind::Answered.into()) } else { Ok(()) }
    }

    /// Makes all later changes fail, because they can no longer be stored.
    pub(crate) fn close(&mut self) {
        self.is_answered = true;
    }

    /// Replaces this state, for the same request.
    pub(crate) fn replace(&mut self, state: Self) {
        *self = Self { is_answered: self.is_answered, ..state };
    }

    /// Returns the browser's cookie of the session that the request began with.
    pub(crate) fn browser_cookie(&self) -> Option<&Arc<Cookie>> {
        self.browser_cookie.as_ref()
    }

    /// Returns the same cookie if the session's current cookie would not replace it in the browser.
    /// Browsers distinguish cookies with the same name by domain, path and partition.
    pub(crate) fn left_behind(&self) -> Option<&Arc<Cookie>> {
        let (old, new) = (self.browser_cookie()?, &self.record.as_ref()?.cookie);
        let place = |cookie: &Cookie| {
            let text = |value: &JsValue| match value {
                JsValue::Text(text) => text.clone(),
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

    /// Records that the state `before` a save was stored as `written`, possibly merged into
    /// `record`. Changes that the handler made during the save are kept as unsaved changes.
    pub(crate) fn record_save(
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

    /// Returns whether this request set this attribute of the session, or gave it a new id.
    pub(crate) fn was_given(&self, name: &str) -> bool {
        let now = || self.record.as_ref()?.attributes.raw(name.as_bytes());
        self.id != self.original_id
            || self.is_modified() && now() != self.original.raw(name.as_bytes())
    }

    /// Returns the state of the session at the end of the request. The lifetime of its cookie
    /// restarts.
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
        record.touch(now_ms)?;
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
            // As in Express, a save of a regenerated session does not count. A renewed session is
            // stored already.
            saved: (same_id || self.notes_saves)
                && self.saved.as_ref().is_some_and(|saved| attributes.same_as(saved)),
            ever_saved: self.saved.is_some(),
            expires: !record.cookie.expires.is_nullish(),
            touch_due: options.strict
                || lifetime.is_none_or(|lifetime| {
                    let touch_after = options.touch_after;
                    policy::touch_due(self.time_left, self.is_final, lifetime, touch_after)
                }),
            signed_by_old_secret: !options.strict && named.is_some_and(|named| named.by_old_secret),
        };
        Ok(Finished::Alive { id: self.id.clone(), cookie: Arc::clone(&record.cookie), facts })
    }
}
