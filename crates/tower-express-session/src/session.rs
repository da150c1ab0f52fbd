//! The session that a handler holds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::cookie::{Cookie, Slot};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::js;
use crate::merge::merge;
use crate::options::{Options, Unset};
use crate::policy::Facts;
use crate::record::{Attributes, Record};
use crate::store::{Created, Store, Updated};
use crate::timestamp::now_ms;

/// How often a save merges with what others wrote meanwhile before it gives up.
const MERGE_ATTEMPTS: usize = 64;

/// What a session needs to know of its request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Arc<Options>,
    pub(crate) store: Arc<dyn Store>,
    /// The ids that came with the request under a good signature, in order. In strict mode at most
    /// the first cookie's.
    pub(crate) cookie_ids: Vec<SessionId>,
    /// The request came over TLS.
    pub(crate) secure: bool,
}

/// A request's session, not yet asked for: the store is read when [`session`](Self::session) is
/// first called, and never for a request whose handler does not.
///
/// The layer puts one into the extensions of each request. With axum, take [`Session`] as an
/// argument of the handler instead.
#[derive(Clone, Debug)]
pub struct LazySession(Arc<LazyInner>);

#[derive(Debug)]
struct LazyInner {
    context: Arc<Context>,
    session: OnceCell<Session>,
}

impl LazySession {
    pub(crate) fn new(context: Context) -> Self {
        Self(Arc::new(LazyInner { context: Arc::new(context), session: OnceCell::new() }))
    }

    pub(crate) fn context(&self) -> &Context {
        &self.0.context
    }

    /// The session, if anybody asked for it in this request.
    pub(crate) fn loaded(&self) -> Option<&Session> {
        self.0.session.get()
    }

    /// The request's session: the stored one, or a new empty one that is stored only once it holds
    /// something.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] and [`ErrorKind::Store`] from the store. A request without a
    /// cookie does not ask the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves nothing behind; the next one reads again.
    pub async fn session(&self) -> Result<Session, Error> {
        self.0.session.get_or_try_init(|| Session::open(&self.0.context)).await.cloned()
    }
}

/// A session: attributes under names, for one visitor, shared with every service of the deployment.
///
/// A cheap handle; clones are the same session. Reading and changing attributes is immediate and
/// local. The layer stores the changes when the handler is done, before the response leaves.
///
/// ```
/// # use tower_express_session::{Error, Session};
/// async fn count_visits(session: Session) -> Result<String, Error> {
///     let visits: u64 = session.get("visits")?.unwrap_or(0) + 1;
///     session.insert("visits", &visits)?;
///     Ok(format!("visit number {visits}"))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    context: Arc<Context>,
    // Held for single steps in memory, never across an await.
    state: Arc<Mutex<State>>,
}

struct State {
    id: SessionId,
    /// `None` once the session was destroyed or unset, or found to have ended elsewhere.
    record: Option<Record>,
    ending: Ending,
    /// The attributes and the id as this request found or made them.
    original: Arc<Attributes>,
    original_id: SessionId,
    /// The attributes as last stored; `None` while that does not count as saved.
    saved: Option<Arc<Attributes>>,
    /// What the store holds under the id as far as we know, with its parsed form; `None` if nothing.
    base: Option<(Bytes, Record)>,
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

impl Session {
    async fn open(context: &Arc<Context>) -> Result<Self, Error> {
        let options = &context.options;
        for id in &context.cookie_ids {
            let Some(stored) = context.store.load(id).await? else { continue };
            match parse(&stored, options) {
                Ok(Some(record)) => return Ok(Self::loaded(context, id, stored, record)),
                Ok(None) => {}
                Err(error) if options.strict => return Err(error),
                Err(error) => {
                    tracing::warn!(session.id = ?id, %error, "ignoring a corrupt session");
                }
            }
        }
        let id = SessionId::generate()?;
        let record = Record::new(options.cookie.make(context.secure, now_ms())?);
        Ok(Self::with_state(
            context,
            State {
                original: Arc::clone(&record.attributes),
                original_id: id.clone(),
                id,
                record: Some(record),
                ending: Ending::Unset,
                saved: None,
                base: None,
                notes_saves: true,
            },
        ))
    }

    fn loaded(context: &Arc<Context>, id: &SessionId, stored: Bytes, record: Record) -> Self {
        let attributes = &record.attributes;
        Self::with_state(
            context,
            State {
                id: id.clone(),
                original: Arc::clone(attributes),
                original_id: id.clone(),
                saved: (!context.options.rules.resave).then(|| Arc::clone(attributes)),
                base: Some((stored, record.clone())),
                record: Some(record),
                ending: Ending::Unset,
                notes_saves: true,
            },
        )
    }

    fn with_state(context: &Arc<Context>, state: State) -> Self {
        Self { context: Arc::clone(context), state: Arc::new(Mutex::new(state)) }
    }

    /// The session's id. Never log it, never show it: it is the key to the session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.state().id.clone()
    }

    /// An attribute; `None` if the session has none of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`] if it is not a `T`; [`ErrorKind::NoSession`] after the session was
    /// destroyed or unset, as for every operation on attributes.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let json = self.get_json(name)?;
        json.map(|json| {
            serde_json::from_str(&json).map_err(|cause| Error::new(ErrorKind::Decode, cause))
        })
        .transpose()
    }

    /// An attribute as the JSON that is stored.
    ///
    /// The name is text; one that JavaScript made may hold lone surrogates, given as WTF-8.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn get_json(&self, name: impl AsRef<[u8]>) -> Result<Option<String>, Error> {
        Ok(self.state().record()?.attributes.get(name.as_ref()).map(str::to_owned))
    }

    /// All attributes as one JSON object, without the cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(self.state().record()?.attributes.to_object())
    }

    /// Sets an attribute.
    ///
    /// Numbers are written as JavaScript writes them, since an Express service may read them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservedName`] for `cookie` and for names that Node would drop, such as `id`;
    /// [`ErrorKind::Encode`] if the value has no JSON, or holds an integer beyond 2^53 that
    /// JavaScript would round (store it as a string); [`ErrorKind::NoSession`].
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let json =
            serde_json::to_string(value).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
        let normalised = js::normalise(&json);
        if normalised.lost_digits {
            return Err(Error::new(ErrorKind::Encode, "an integer beyond 2^53 would be rounded"));
        }
        let json = Bytes::from(normalised.json.into_owned());
        self.change(|attributes| attributes.set(name.as_bytes(), json))
    }

    /// Sets an attribute to a JSON text, read and written as JavaScript would: a number becomes a
    /// double.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); [`ErrorKind::Encode`] if the text is not JSON.
    pub fn insert_json(&self, name: impl AsRef<[u8]>, json: &str) -> Result<(), Error> {
        let json: &serde_json::value::RawValue =
            serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
        let json = Bytes::from(js::normalise(json.get()).json.into_owned());
        self.change(|attributes| attributes.set(name.as_ref(), json))
    }

    /// Removes an attribute; false if there was none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.change(|attributes| Ok(attributes.remove(name.as_ref())))
    }

    /// Removes all attributes; the session and its cookie stay.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn clear(&self) -> Result<(), Error> {
        self.change(|attributes| {
            attributes.clear();
            Ok(())
        })
    }

    /// The session's cookie, as it stands now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn cookie(&self) -> Result<Cookie, Error> {
        Ok(self.state().record()?.cookie.clone())
    }

    /// Changes the session's cookie, as an Express handler does through `req.session.cookie`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn set_cookie(&self, cookie: Cookie) -> Result<(), Error> {
        self.state().record_mut()?.cookie = cookie;
        Ok(())
    }

    /// The session's cookie as JSON, as it would be stored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn cookie_json(&self) -> Result<String, Error> {
        let mut json = Vec::new();
        self.state().record()?.cookie.write_json(&mut json);
        Ok(String::from_utf8(json).expect("the cookie's JSON is UTF-8"))
    }

    /// `req.session.cookie[name] = value`, the value given as JSON; a text for `expires` is read as
    /// a date. For programs that take cookie settings from outside; others use
    /// [`set_cookie`](Self::set_cookie).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the text is not JSON; [`ErrorKind::Cookie`] where express-session's
    /// setter throws, for a `maxAge` that is not a number; [`ErrorKind::NoSession`].
    pub fn set_cookie_field(&self, name: &str, json: &str) -> Result<(), Error> {
        let json: &serde_json::value::RawValue =
            serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
        let value = match Slot::from_json(json.get()) {
            Slot::Text(text) if name == "expires" => {
                Slot::Date(crate::timestamp::parse(&text).unwrap_or(f64::NAN))
            }
            slot => slot,
        };
        self.state().record_mut()?.cookie.assign(name, value, now_ms())
    }

    /// Starts the cookie's lifetime again; the layer does so itself at the end of each request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Cookie`] if the stored lifetime is not a number.
    pub fn touch(&self) -> Result<(), Error> {
        self.state().record_mut()?.cookie.touch(now_ms())
    }

    /// Lets go of the session: `req.session = null`. What becomes of the stored one is the layer's
    /// option [`unset`](crate::SessionLayer::unset).
    pub fn unset(&self) {
        let mut state = self.state();
        if state.record.take().is_some() {
            state.ending = Ending::Unset;
        }
    }

    /// Stores the session now, rather than at the end of the request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session ended elsewhere: nothing was stored, and it is over here
    /// too. [`ErrorKind::Conflict`] if others kept changing it. [`ErrorKind::NoSession`]; errors of
    /// the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have stored the session.
    pub async fn save(&self) -> Result<(), Error> {
        let (id, mine, base) = {
            let state = self.state();
            (state.id.clone(), state.record()?.clone(), state.base.clone())
        };
        let mut record = mine.clone();
        let written = match mine.cookie.time_to_live(now_ms(), self.context.options.ttl) {
            Some(ttl) => self.write(&id, &mut record, base, ttl).await.map(Some),
            // What is over is not kept: connect-redis destroys here, and so do we.
            None => self.context.store.destroy(&id).await.map(|()| None),
        };
        let mut state = self.state();
        if state.id != id {
            // It was regenerated while the store was at work.
            return written.map(drop);
        }
        match written {
            Ok(written) => state.note_saved(&mine, record, written),
            Err(error) if error.kind() == ErrorKind::Gone => {
                state.end(Ending::Gone);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes `record`, merged with what others wrote since `base`, and gives the bytes stored.
    async fn write(
        &self,
        id: &SessionId,
        record: &mut Record,
        base: Option<(Bytes, Record)>,
        ttl: Duration,
    ) -> Result<Bytes, Error> {
        let store = &self.context.store;
        if self.context.options.strict {
            let value = record.to_json();
            store.overwrite(id, value.clone(), ttl).await?;
            return Ok(value);
        }
        let Some((mut base_bytes, mut base)) = base else {
            let value = record.to_json();
            return match store.create(id, value.clone(), ttl).await? {
                Created::Stored => Ok(value),
                Created::Exists => Err(ErrorKind::Conflict.into()),
            };
        };
        for _ in 0..MERGE_ATTEMPTS {
            let value = record.to_json();
            match store.update(id, &base_bytes, value.clone(), ttl).await? {
                Updated::Stored => return Ok(value),
                Updated::Gone => return Err(ErrorKind::Gone.into()),
                Updated::Changed(current) => {
                    let theirs = parse(&current, &self.context.options)?.ok_or(ErrorKind::Gone)?;
                    *record = merge(&base, record, &theirs);
                    (base_bytes, base) = (current, theirs);
                }
            }
        }
        Err(ErrorKind::Conflict.into())
    }

    /// Reads the session from the store again; changes of this request that were not saved are lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the store has no such session; [`ErrorKind::Corrupt`];
    /// [`ErrorKind::NoSession`]; errors of the store. The session is as before then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped changes nothing.
    pub async fn reload(&self) -> Result<(), Error> {
        let id = {
            let state = self.state();
            state.record()?;
            state.id.clone()
        };
        let stored = self.context.store.load(&id).await?.ok_or(ErrorKind::Gone)?;
        let record = parse(&stored, &self.context.options)?.ok_or(ErrorKind::Gone)?;
        let mut state = self.state();
        state.base = Some((stored, record.clone()));
        state.record = Some(record);
        Ok(())
    }

    /// Ends this session and goes on with a new, empty one under a fresh id. Call it whenever a
    /// visitor gains rights, above all at a login: an id that somebody planted before is worth
    /// nothing then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; errors of the store, and then the session is as before. (In strict
    /// mode there is a new session even then, as in Express.)
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have ended the old session; its cookie is worth nothing then.
    pub async fn regenerate(&self) -> Result<(), Error> {
        let (old, stored) = {
            let state = self.state();
            state.record()?;
            (state.id.clone(), self.may_be_stored(&state))
        };
        let id = SessionId::generate()?;
        let record = Record::new(self.context.options.cookie.make(self.context.secure, now_ms())?);
        let destroyed = match stored {
            true => self.context.store.destroy(&old).await,
            false => Ok(()),
        };
        if self.context.options.strict || destroyed.is_ok() {
            let mut state = self.state();
            state.id = id;
            state.record = Some(record);
            state.base = None;
            state.notes_saves = false;
        }
        destroyed
    }

    /// Ends the session: the store forgets it, and the response clears the cookie.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`] if it has ended already; errors of the store. The session is over
    /// for this request even then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have ended the stored session.
    pub async fn destroy(&self) -> Result<(), Error> {
        let (id, stored) = {
            let mut state = self.state();
            state.record.take().ok_or(ErrorKind::NoSession)?;
            state.ending = Ending::Unset;
            (state.id.clone(), self.may_be_stored(&state))
        };
        if stored {
            self.context.store.destroy(&id).await?;
        }
        self.state().ending = Ending::Destroyed;
        Ok(())
    }

    /// A session that was never written need not be destroyed. Express asks the store even then.
    fn may_be_stored(&self, state: &State) -> bool {
        state.base.is_some() || self.context.options.strict
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Attributes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        change(Arc::make_mut(&mut self.state().record_mut()?.attributes))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step under the lock can panic half-way, so a poisoned lock holds a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the session stands at the end of the request; its cookie's lifetime starts again.
    pub(crate) fn finish(&self) -> Result<Finished, Error> {
        let named_by_cookie = |id: &SessionId| self.context.cookie_ids.contains(id);
        let mut state = self.state();
        let Some(record) = &mut state.record else {
            return Ok(Finished::Ended { id: state.id.clone(), ending: state.ending });
        };
        record.cookie.touch(now_ms())?;
        let record = record.clone();
        let same_id = state.id == state.original_id;
        let facts = Facts {
            named_by_cookie: named_by_cookie(&state.id),
            modified: !same_id || !record.attributes.same_as(&state.original),
            saved: same_id
                && state.saved.as_ref().is_some_and(|saved| record.attributes.same_as(saved)),
            ever_saved: state.saved.is_some(),
            expires: !record.cookie.expires.is_nullish(),
        };
        Ok(Finished::Alive { id: state.id.clone(), cookie: Box::new(record.cookie), facts })
    }
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
    fn record(&self) -> Result<&Record, Error> {
        self.record.as_ref().ok_or_else(|| ErrorKind::NoSession.into())
    }

    fn record_mut(&mut self) -> Result<&mut Record, Error> {
        self.record.as_mut().ok_or_else(|| ErrorKind::NoSession.into())
    }

    fn end(&mut self, ending: Ending) {
        self.record = None;
        self.ending = ending;
    }

    /// The session's state `before` a save was stored as `written`, perhaps merged into `record`.
    /// What the handler changed while the store was at work is kept, as a change since then.
    fn note_saved(&mut self, before: &Record, record: Record, written: Option<Bytes>) {
        if let Some(now) = &self.record {
            self.record = Some(merge(before, now, &record));
        }
        if self.notes_saves {
            self.saved = Some(Arc::clone(&record.attributes));
        }
        self.base = written.map(|bytes| (bytes, record));
    }
}

/// The record in a stored value. Outside the strict mode a cookie whose lifetime cannot be started
/// again is corrupt, too: Express fails on it at the end of the request.
fn parse(stored: &Bytes, options: &Options) -> Result<Option<Record>, Error> {
    let now_ms = now_ms();
    let record = Record::parse(stored, options.reading(), now_ms)?;
    if let (Some(record), false) = (&record, options.strict) {
        record.cookie.clone().touch(now_ms).map_err(|_| ErrorKind::Corrupt)?;
    }
    Ok(record)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let attributes = state.record.as_ref().map(|record| record.attributes.iter().count());
        f.debug_struct("Session").field("id", &state.id).field("attributes", &attributes).finish()
    }
}
