//! The session that a handler holds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::accounts::Account;
use crate::context::{Change, Context};
use crate::cookie::{Cookie, Slot};
use crate::detached::DetachedSession;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::js;
use crate::record::Attributes;
use crate::state::{Ending, Finished, State};
use crate::store::Freshness;
use crate::timestamp::now_ms;

/// A session: attributes under names, for one visitor, shared with every service of the deployment.
///
/// A cheap handle; clones are the same session. Reading and changing attributes is immediate and
/// local. The layer stores the changes when the handler is done, before the response leaves. Nothing
/// would store later ones: a streaming body, or a task that the handler spawned, gets
/// [`ErrorKind::Answered`] for each change, and works with a [`DetachedSession`] instead.
///
/// It is `req.session` of express-session, with its methods by their names.
///
/// ```
/// # use axum::{Router, body::Body, http::Request, routing::get};
/// # use tower::ServiceExt as _;
/// # use tower_express_session::{Error, MemoryStore, SessionLayer};
/// use tower_express_session::Session;
///
/// async fn visit(session: Session) -> Result<(), Error> {
///     session.insert("user", "al")?;
///     session.insert("cart", &["tea", "milk"])?;
///     assert_eq!(session.get::<String>("user")?.as_deref(), Some("al"));
///     assert_eq!(session.to_json()?, r#"{"user":"al","cart":["tea","milk"]}"#);
///
///     assert!(session.remove("cart")?);
///     assert_eq!(session.get::<Vec<String>>("cart")?, None);
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"]).unwrap();
/// # let app: Router = Router::new().route("/", get(visit)).layer(layer);
/// # assert!(app.oneshot(Request::new(Body::empty())).await.unwrap().status() == 200);
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    context: Arc<Context>,
    // Held for single steps in memory, never across an await.
    state: Arc<Mutex<State>>,
}

impl Session {
    pub(crate) async fn open(context: &Arc<Context>, freshness: Freshness) -> Result<Self, Error> {
        Ok(Self::new(Arc::clone(context), context.open(freshness).await?))
    }

    pub(crate) fn new(context: Arc<Context>, state: State) -> Self {
        Self { context, state: Arc::new(Mutex::new(state)) }
    }

    /// Takes up what the store itself holds for the request.
    pub(crate) async fn open_again(&self) -> Result<(), Error> {
        let state = self.context.open(Freshness::Latest).await?;
        self.state().replace(state);
        Ok(())
    }

    /// The session's id, `req.sessionID`. Never log it, never show it: it is the key to the session.
    /// [`SessionId::handle`] may be shown.
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
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// # fn example(session: Session) -> Result<(), Error> {
    /// let user: Option<String> = session.get("user")?;
    /// let visits = session.get("visits")?.unwrap_or(0_u32);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.get_json(name)?.map(|json| decode(&json)).transpose()
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

    /// Sets an attribute: `req.session[name] = value`.
    ///
    /// Numbers are written as JavaScript writes them, since an Express service may read them: `1.0`
    /// as `1`. Setting the value that is there already is no change.
    ///
    /// ```
    /// # use axum::{Router, body::Body, http::Request, routing::get};
    /// # use tower::ServiceExt as _;
    /// # use tower_express_session::{Error, MemoryStore, Session, SessionLayer};
    /// use tower_express_session::ErrorKind;
    ///
    /// async fn visit(session: Session) -> Result<(), Error> {
    ///     session.insert("price", &1.0)?;
    ///     assert_eq!(session.get_json("price")?.as_deref(), Some("1"));
    ///
    ///     let error = session.insert("id", "mine").unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::ReservedName);
    ///     let error = session.insert("big", &u64::MAX).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::Encode);
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"]).unwrap();
    /// # let app: Router = Router::new().route("/", get(visit)).layer(layer);
    /// # assert!(app.oneshot(Request::new(Body::empty())).await.unwrap().status() == 200);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservedName`] for `cookie` and for names that Node would drop, such as `id`;
    /// [`ErrorKind::Encode`] if the value has no JSON, or holds an integer beyond 2^53 that
    /// JavaScript would round (store it as a string); [`ErrorKind::NoSession`]; [`ErrorKind::Answered`]
    /// after the response has started, as for every change.
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let json = encode(value)?;
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

    /// Removes an attribute: `delete req.session[name]`. False if there was none.
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

    /// The session's cookie, as it stands now: `req.session.cookie`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`].
    pub fn cookie(&self) -> Result<Cookie, Error> {
        Ok(self.state().record()?.cookie.clone())
    }

    /// Sets how long the cookie lives from now on, and from each later touch; `None` makes it a
    /// cookie that lives as long as the browser. Mirrors `req.session.cookie.maxAge = ms`.
    ///
    /// As in express-session this alone does not count as a change of the session: with
    /// `resave(false)` only the time to live in the store changes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Cookie`] for more than 400 days, which no browser keeps, outside the strict mode;
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Answered`].
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// use std::time::Duration;
    ///
    /// async fn login(session: Session) -> Result<(), Error> {
    ///     session.regenerate().await?;
    ///     session.insert("user", "al")?;
    ///     // "Remember me" was ticked.
    ///     session.set_max_age(Some(Duration::from_secs(30 * 86_400)))
    /// }
    /// ```
    pub fn set_max_age(&self, max_age: Option<Duration>) -> Result<(), Error> {
        let slot = max_age.map_or(Slot::Null, |age| Slot::Number(age.as_millis() as f64));
        self.change_cookie("maxAge", slot)
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
    /// a date. For programs that take cookie settings from outside.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] if the text is not JSON; [`ErrorKind::Cookie`] where express-session's
    /// setter throws, for a `maxAge` that is not a number, and, outside the strict mode, if no browser
    /// accepts the cookie then: set `secure` before what asks for it. [`ErrorKind::NoSession`];
    /// [`ErrorKind::Answered`].
    pub fn set_cookie_field(&self, name: &str, json: &str) -> Result<(), Error> {
        let json: &serde_json::value::RawValue =
            serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
        let value = match Slot::from_json(json.get()) {
            Slot::Text(text) if name == "expires" => {
                Slot::Date(crate::timestamp::parse(&text).unwrap_or(f64::NAN))
            }
            slot => slot,
        };
        self.change_cookie(name, value)
    }

    fn change_cookie(&self, name: &str, value: Slot) -> Result<(), Error> {
        let mut state = self.state();
        let record = state.record_mut()?;
        let mut cookie = record.cookie.clone();
        cookie.assign(name, value, now_ms())?;
        self.context.options().check_change(&record.cookie, &cookie)?;
        record.cookie = cookie;
        Ok(())
    }

    /// Starts the cookie's lifetime again: `req.session.touch()`. The layer does so itself at the end
    /// of each request; the store is not asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSession`]; [`ErrorKind::Cookie`] if the stored lifetime is not a number.
    pub fn touch(&self) -> Result<(), Error> {
        self.state().record_mut()?.cookie.touch(now_ms())
    }

    /// Lets go of the session: `req.session = null`. What becomes of the stored one is the layer's
    /// option [`unset`](crate::SessionLayer::unset); the browser's cookie is cleared. After the response
    /// has started it does nothing.
    pub fn unset(&self) {
        let mut state = self.state();
        if state.check_open().is_ok() && state.record.take().is_some() {
            state.ending = Ending::Unset;
        }
    }

    /// Stores the session now, rather than at the end of the request: `req.session.save()`. Seldom
    /// needed, as no response leaves before its session is stored.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn start_job(session: Session) -> Result<(), Error> {
    ///     session.insert("job", "running")?;
    ///     session.save().await?; // whoever does the job finds the attribute there
    ///     // queue.send(session.id()).await
    ///     Ok(())
    /// }
    /// ```
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
        self.save_with(&mut |_| Ok(())).await
    }

    /// Changes one attribute in one step that no other request can come between, and stores the
    /// session: `change` gets the attribute as the store has it, and gives the new one. It is called
    /// again if another request was faster, on what that one left. Gives the new value.
    ///
    /// One round trip if nobody else writes the session at the same time. An Express service still
    /// writes without looking, and can undo it.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn add_to_cart(session: Session) -> Result<String, Error> {
    ///     let items = session.update("items", |items: Option<u32>| items.unwrap_or(0) + 1).await?;
    ///     Ok(format!("{items} in your cart"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), [`insert`](Self::insert) and [`save`](Self::save). Of an error of the
    /// store the session does not have the change.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have stored the change.
    pub async fn update<T>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<T>) -> T + Send,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let mut latest = None;
        self.save_with(&mut |record| {
            let value = change(record.attributes.get(name.as_bytes()).map(decode).transpose()?);
            let json = encode(&value)?;
            Arc::make_mut(&mut record.attributes).set(name.as_bytes(), json)?;
            latest = Some(value);
            Ok(())
        })
        .await?;
        Ok(latest.expect("a save that succeeded made the change"))
    }

    async fn save_with(&self, change: &mut Change<'_>) -> Result<(), Error> {
        let (id, mut mine, base) = {
            let state = self.state();
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            (state.id.clone(), state.record()?.clone(), state.basis())
        };
        // The stored date may be over, since touches do not move it. Express ends the session then.
        if !self.context.options().strict {
            mine.cookie.touch(now_ms())?;
        }
        let saved = match mine.cookie.time_to_live(now_ms(), self.context.options().ttl) {
            Some(ttl) => {
                let written = self.context.write(&id, &mine, &base, ttl, change).await;
                written.map(|(record, written)| (record, Some(written)))
            }
            // What is over is not kept: connect-redis destroys here, and so do we.
            None => {
                let mut record = mine.clone();
                change(&mut record)?;
                let destroyed = self.context.destroy(&id, Some(&mine.cookie)).await;
                destroyed.map(|()| (record, None))
            }
        };
        let mut state = self.state();
        if state.id != id {
            // It was regenerated while the store was at work.
            return saved.map(drop);
        }
        match saved {
            Ok((record, written)) => state.note_saved(&mine, record, written),
            Err(error) if error.kind() == ErrorKind::Gone => {
                state.end(Ending::Gone);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads the session from the store again, past any cache: `req.session.reload()`. Changes of this
    /// request that were not saved are lost.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn result(session: Session) -> Result<String, Error> {
    ///     while session.get::<String>("job")?.as_deref() == Some("running") {
    ///         tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    ///         session.reload().await?;
    ///     }
    ///     Ok("done".to_owned())
    /// }
    /// ```
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
        let loaded = self.context.load(&id, Freshness::Latest).await?;
        let (stored, record) = loaded.ok_or(ErrorKind::Gone)?;
        self.state().reload(stored, record);
        Ok(())
    }

    /// The stored session by itself, for what outlives the request: a stream of server-sent events,
    /// a socket. [Save](Self::save) the session first if this request made it. See
    /// [`DetachedSession`] for an example.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    ///
    /// # Cancel safety
    ///
    /// As [`reload`](Self::reload).
    pub async fn detach(&self) -> Result<DetachedSession, Error> {
        let id = {
            let state = self.state();
            state.record()?;
            state.id.clone()
        };
        DetachedSession::open(Arc::clone(&self.context), id).await
    }

    /// Ends this session and goes on with a new, empty one under a fresh id:
    /// `req.session.regenerate()`. Call it whenever a visitor gains rights, above all at a login: an id
    /// that somebody planted before is worth nothing then.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn login(session: Session) -> Result<(), Error> {
    ///     let cart: Option<Vec<String>> = session.get("cart")?;
    ///     session.regenerate().await?;
    ///     session.insert("user", "al")?;
    ///     session.insert("cart", &cart.unwrap_or_default()) // what the visitor keeps
    /// }
    /// ```
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
        self.regenerate_with(None).await
    }

    /// Like [`regenerate`](Self::regenerate), and keeps a number beside the new session:
    /// [`epoch`](Self::epoch). It is stored with the session and never changes.
    ///
    /// Use it to end an account's sessions for certain. Give the account a counter, and raise it in the
    /// step that changes the password. A login reads the counter together with the hash of the password,
    /// and passes it on here. A session whose epoch is lower than the counter was opened with an old
    /// password, even if it was stored after the change: refuse it.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// # struct Account { name: String, epoch: u64 }
    /// async fn login(session: Session, account: Account) -> Result<(), Error> {
    ///     session.regenerate_in_epoch(account.epoch).await?;
    ///     session.insert("user", &account.name)
    /// }
    ///
    /// fn is_over(session: &Session, account: &Account) -> bool {
    ///     session.epoch().is_some_and(|epoch| epoch < account.epoch)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`regenerate`](Self::regenerate).
    ///
    /// # Cancel safety
    ///
    /// As [`regenerate`](Self::regenerate).
    pub async fn regenerate_in_epoch(&self, epoch: u64) -> Result<(), Error> {
        self.regenerate_with(Some(epoch)).await
    }

    /// The number that the session was [created with](Self::regenerate_in_epoch); `None` if it has
    /// none, as a session that an Express service made.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.state().epoch
    }

    async fn regenerate_with(&self, epoch: Option<u64>) -> Result<(), Error> {
        let (old, cookie, stored) = {
            let state = self.state();
            state.check_open()?;
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            (state.id.clone(), state.record()?.cookie.clone(), self.may_be_stored(&state))
        };
        let id = self.context.options().new_id()?;
        let record = self.context.new_record()?;
        let destroyed = match stored {
            true => self.context.destroy(&old, Some(&cookie)).await,
            false => Ok(()),
        };
        if self.context.options().strict || destroyed.is_ok() {
            self.state().regenerate(id, record, epoch);
        }
        destroyed
    }

    /// Ends the session: the store forgets it, and the response clears the cookie.
    /// `req.session.destroy()`, which leaves the cookie.
    ///
    /// ```
    /// # use tower_express_session::{Error, Session};
    /// async fn logout(session: Session) -> Result<&'static str, Error> {
    ///     session.destroy().await?;
    ///     Ok("bye")
    /// }
    /// ```
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
        let (id, record, stored) = {
            let mut state = self.state();
            state.check_open()?;
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            let record = state.record.take().ok_or(ErrorKind::NoSession)?;
            state.ending = Ending::Unset;
            (state.id.clone(), record, self.may_be_stored(&state))
        };
        if stored {
            self.context.destroy(&id, Some(&record.cookie)).await?;
        }
        self.state().ending = Ending::Destroyed;
        Ok(())
    }

    /// A session that was never written need not be destroyed. Express asks the store even then.
    fn may_be_stored(&self, state: &State) -> bool {
        state.base.is_some() || self.context.options().strict
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

    /// Whose session it is, if anybody lists sessions.
    pub(crate) fn account(&self) -> Option<Account> {
        let accounts = self.context.accounts()?;
        let state = self.state();
        let name = accounts.account_of(&state.record.as_ref()?.attributes)?;
        Some(Account { name, is_new: state.was_given(accounts.attribute()) })
    }

    /// How the session stands at the end of the request; its cookie's lifetime starts again. Nothing
    /// is changed through this handle afterwards.
    pub(crate) fn finish(&self) -> Result<Finished, Error> {
        let mut state = self.state();
        if !self.context.options().strict {
            state.close();
        }
        state.finish(&self.context.request, self.context.options(), now_ms())
    }

    /// The session was asked for when the response had started.
    pub(crate) fn close(&self) {
        self.state().close();
    }

    /// The cookie that the browser has of the session that the request began with.
    pub(crate) fn browser_cookie(&self) -> Option<Cookie> {
        self.state().browser_cookie().cloned()
    }

    /// The same, if it would stay beside the cookie of the session as it is now.
    pub(crate) fn left_behind(&self) -> Option<Cookie> {
        self.state().left_behind().cloned()
    }
}

fn decode<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Decode, cause))
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let json =
        serde_json::to_string(value).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
    let normalised = js::normalise(&json);
    if normalised.lost_digits {
        return Err(Error::new(ErrorKind::Encode, "an integer beyond 2^53 would be rounded"));
    }
    Ok(Bytes::from(normalised.json.into_owned()))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let attributes = state.record.as_ref().map(|record| record.attributes.iter().count());
        f.debug_struct("Session").field("id", &state.id).field("attributes", &attributes).finish()
    }
}
