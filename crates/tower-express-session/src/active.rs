//! A session in use: its state, and the operations that read and write it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex as AsyncMutex;

use crate::context::{Change, Context};
use crate::cookie::{Cookie, JsValue};
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::js;
use crate::merge::merge;
use crate::record::Attributes;
use crate::state::{Basis, Ending, Finished, State};
use crate::store::Freshness;
use crate::timestamp::now_ms;

/// The state of one session and the context that reads and writes it. Clones share both.
#[derive(Clone)]
pub(crate) struct ActiveSession {
    context: Arc<Context>,
    inner: Arc<Inner>,
}

struct Inner {
    // Locked for a few instructions, never across an await.
    state: Mutex<State>,
    /// Held while the stored session is read or written, so that each operation starts from the
    /// result of the previous one.
    exclusive: AsyncMutex<()>,
}

impl ActiveSession {
    /// Returns the session that a request names, or a new one.
    pub(crate) async fn open(context: &Arc<Context>, freshness: Freshness) -> Result<Self, Error> {
        Ok(Self::new(Arc::clone(context), context.open(freshness).await?))
    }

    /// Loads the stored session with this id.
    pub(crate) async fn load(context: Arc<Context>, id: SessionId) -> Result<Self, Error> {
        let loaded = context.load(&id, Freshness::Latest).await?;
        let (stored, record) = loaded.ok_or(ErrorKind::Gone)?;
        Ok(Self::new(context, State::loaded(id, stored, record, false, now_ms())))
    }

    fn new(context: Arc<Context>, state: State) -> Self {
        let inner = Inner { state: Mutex::new(state), exclusive: AsyncMutex::default() };
        Self { context, inner: Arc::new(inner) }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No code under the lock panics half-way, so the state behind a poisoned lock is still
        // consistent.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the request's session again from the store, bypassing any cache. A session that got a
    /// new id in this request is read under that id, if it is stored already.
    pub(crate) async fn open_again(&self) -> Result<(), Error> {
        let (has_new_id, is_stored) = {
            let state = self.state();
            (state.has_new_id(), state.base.is_some())
        };
        match (has_new_id, is_stored) {
            (true, true) => return self.reload().await,
            (true, false) => return Ok(()),
            (false, _) => {}
        }
        let _exclusive = self.inner.exclusive.lock().await;
        let state = self.context.open(Freshness::Latest).await?;
        self.state().replace(state);
        Ok(())
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.state().record()?.attributes.get(name.as_bytes()).map(decode).transpose()
    }

    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Attributes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        change(Arc::make_mut(&mut self.state().record_mut()?.attributes))
    }

    pub(crate) fn change_cookie(&self, name: &str, value: JsValue) -> Result<(), Error> {
        let mut state = self.state();
        let record = state.record_mut()?;
        let mut cookie = Cookie::clone(&record.cookie);
        cookie.assign(name, value, now_ms())?;
        self.context.options().check_change(&record.cookie, &cookie)?;
        record.cookie = Arc::new(cookie);
        Ok(())
    }

    /// Changes one attribute of the stored session in one atomic step.
    pub(crate) async fn update<T>(
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

    /// Stores the session with `change` made on it.
    pub(crate) async fn save_with(&self, change: &mut Change<'_>) -> Result<(), Error> {
        let _exclusive = self.inner.exclusive.lock().await;
        let (id, mut mine, base) = {
            let state = self.state();
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            (state.id.clone(), state.record()?.clone(), state.basis())
        };
        // The stored date may have passed, because touches do not update it. Express would end the
        // session.
        if !self.context.options().strict {
            mine.touch(now_ms())?;
        }
        // Also if this future is dropped before the store has answered.
        self.state().save_failed = true;
        let saved = match mine.cookie.time_to_live(now_ms(), self.context.options().ttl) {
            Some(ttl) => {
                let written = self.context.write(&id, &mine, &base, ttl, change).await;
                written.map(|(record, written)| (record, Some(written)))
            }
            // connect-redis destroys an expired session here, and so does this crate.
            None => {
                let mut record = mine.clone();
                change(&mut record)?;
                let destroyed = self.context.destroy(&id, Some(&mine.cookie)).await;
                destroyed.map(|_| (record, None))
            }
        };
        let mut state = self.state();
        state.save_failed = saved.is_err();
        match saved {
            Ok((record, written)) => state.record_save(&mine, record, written, now_ms()),
            Err(error) if error.kind() == ErrorKind::Gone => {
                state.end(Ending::Gone);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads the session again. Changes that were not saved are lost.
    pub(crate) async fn reload(&self) -> Result<(), Error> {
        let _exclusive = self.inner.exclusive.lock().await;
        let id = self.live_id()?;
        let loaded = self.context.load(&id, Freshness::Latest).await?;
        let (stored, record) = loaded.ok_or(ErrorKind::Gone)?;
        self.state().reload(stored, record, now_ms());
        Ok(())
    }

    /// Returns the id of a session that has not ended in this request.
    pub(crate) fn live_id(&self) -> Result<SessionId, Error> {
        let state = self.state();
        state.record()?;
        Ok(state.id.clone())
    }

    /// Continues as a new session with these attributes, each with its raw JSON.
    pub(crate) async fn regenerate(
        &self,
        epoch: Option<u64>,
        attributes: Vec<(String, Bytes)>,
    ) -> Result<(), Error> {
        let _exclusive = self.inner.exclusive.lock().await;
        let (old, cookie, stored) = {
            let state = self.state();
            state.check_open()?;
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            (state.id.clone(), state.record()?.cookie.clone(), self.may_be_stored(&state))
        };
        let id = self.context.options().new_id()?;
        let mut record = self.context.new_record()?;
        for (name, json) in attributes {
            Arc::make_mut(&mut record.attributes).set(name.as_bytes(), json)?;
        }
        let destroyed = match stored {
            true => self.context.destroy(&old, Some(&cookie)).await.map(drop),
            false => Ok(()),
        };
        if self.context.options().strict || destroyed.is_ok() {
            self.state().regenerate(id, record, epoch);
        }
        destroyed
    }

    /// Continues under a new id with the same data, including the changes that other requests
    /// stored meanwhile.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        let _exclusive = self.inner.exclusive.lock().await;
        let (old, mine, basis, epoch) = {
            let state = self.state();
            state.check_open()?;
            if state.is_stand_in {
                return Err(ErrorKind::Unavailable.into());
            }
            (state.id.clone(), state.record()?.clone(), state.basis(), state.epoch)
        };
        let id = self.context.options().new_id()?;
        let Basis::Stored(base) = basis else {
            // No other request can have this id, so no stored session must be ended.
            self.state().rename(id);
            return Ok(());
        };
        let latest = self.context.load(&old, Freshness::Latest).await?;
        let (_, theirs) = latest.ok_or(ErrorKind::Gone)?;
        let mut renewed = merge(&base.record, &mine, &theirs);
        renewed.touch(now_ms())?;
        let ttl = renewed.cookie.time_to_live(now_ms(), self.context.options().ttl);
        let ttl = ttl.ok_or(ErrorKind::Gone)?;
        let new = Basis::New { epoch };
        let (record, written) =
            self.context.write(&id, &renewed, &new, ttl, &mut |_| Ok(())).await?;
        let was_there = self.context.destroy(&old, Some(&mine.cookie)).await;
        if !matches!(was_there, Ok(true)) {
            // The session ended elsewhere meanwhile, or the old id could not be deleted. It must
            // not exist under both ids.
            self.context.destroy(&id, Some(&record.cookie)).await?;
            was_there?;
            self.state().end(Ending::Gone);
            return Err(ErrorKind::Gone.into());
        }
        self.state().renew(&mine, id.clone(), record, written, now_ms());
        if let Some(account) = self.account() {
            self.context.index_login(&id, ttl, &account).await;
        }
        Ok(())
    }

    /// Deletes the session from the store. For this request it has ended even if the store fails.
    pub(crate) async fn destroy(&self) -> Result<(), Error> {
        let _exclusive = self.inner.exclusive.lock().await;
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

    /// Restarts the session's time to live in the store.
    pub(crate) async fn keep_alive(&self) -> Result<(), Error> {
        let (id, ttl) = {
            let mut state = self.state();
            let id = state.id.clone();
            let record = state.record_mut()?;
            record.touch(now_ms())?;
            (id, record.cookie.time_to_live(now_ms(), self.context.options().ttl))
        };
        match self.context.touch(&id, ttl.ok_or(ErrorKind::Gone)?).await? {
            true => Ok(()),
            false => Err(ErrorKind::Gone.into()),
        }
    }

    /// Waits until the session has ended, in this process or another.
    pub(crate) async fn ended(&self, period: Duration) {
        let id = self.state().id.clone();
        loop {
            if matches!(self.context.is_stored(&id).await, Ok(false)) {
                return;
            }
            tokio::time::sleep(period).await;
        }
    }

    /// Returns whether the session may be in the store. In strict mode it is always destroyed, as
    /// Express does.
    fn may_be_stored(&self, state: &State) -> bool {
        state.base.is_some() || self.context.options().strict
    }

    /// Returns the name of the session's account, if the layer keeps an index of accounts.
    pub(crate) fn account(&self) -> Option<String> {
        let accounts = self.context.accounts()?;
        accounts.account_of(&self.state().record.as_ref()?.attributes)
    }

    /// Returns whether the session has an account from which the layer cannot tell a name.
    pub(crate) fn has_unnamed_account(&self) -> bool {
        let state = self.state();
        let (accounts, record) = (self.context.accounts(), state.record.as_ref());
        accounts
            .zip(record)
            .is_some_and(|(accounts, record)| accounts.is_unnamed(&record.attributes))
    }

    /// Returns whether this request logged an account in, out or over to another one, if the layer keeps
    /// an index of accounts.
    pub(crate) fn has_new_account(&self) -> bool {
        let accounts = self.context.accounts();
        accounts.is_some_and(|accounts| self.state().was_given(accounts.attribute()))
    }

    /// Returns whether no touch prolongs the session, because it lives until its absolute timeout.
    pub(crate) fn is_final(&self) -> bool {
        self.state().is_final
    }

    /// Discards the changes of the request that are not stored yet.
    pub(crate) fn drop_changes(&self) {
        self.state().drop_changes();
    }

    /// Returns whether the request tried to store a new session, and failed.
    pub(crate) fn creation_failed(&self) -> bool {
        let state = self.state();
        state.save_failed && state.base.is_none()
    }

    /// Returns the state of the session at the end of the request. The lifetime of its cookie
    /// restarts. Later changes fail.
    pub(crate) fn finish(&self) -> Result<Finished, Error> {
        let mut state = self.state();
        if !self.context.options().strict {
            state.close();
        }
        state.finish(&self.context.request, self.context.options(), now_ms())
    }

    /// Returns the browser's cookie of the session that the request began with.
    pub(crate) fn browser_cookie(&self) -> Option<Arc<Cookie>> {
        self.state().browser_cookie().cloned()
    }

    /// Returns the same cookie if the session's current cookie would not replace it in the browser.
    pub(crate) fn left_behind(&self) -> Option<Arc<Cookie>> {
        self.state().left_behind().cloned()
    }
}

pub(crate) fn decode<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|cause| Error::new(ErrorKind::Decode, cause))
}

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let json =
        serde_json::to_string(value).map_err(|cause| Error::new(ErrorKind::Encode, cause))?;
    let normalised = js::normalise(&json);
    if normalised.lost_digits {
        return Err(Error::new(
            ErrorKind::Encode,
            "must be at most 2^53, as JavaScript would round it",
        ));
    }
    Ok(Bytes::from(normalised.json.into_owned()))
}

impl fmt::Debug for ActiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let attributes = state.record.as_ref().map(|record| record.attributes.iter().count());
        f.debug_struct("Session").field("id", &state.id).field("attributes", &attributes).finish()
    }
}
