//! The context of a session: its request, its layer, and all calls to the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::accounts::{AccountSessions, SessionUse};
use crate::cookie::Cookie;
use crate::cookie_options::CookieOptions;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::{Options, WhenUnavailable};
use crate::policy;
use crate::recent_cookie::RecentCookie;
use crate::recent_uses::RecentUses;
use crate::record::{Reading, Record};
use crate::request::RequestFacts;
use crate::signature::Unsigned;
use crate::state::{Basis, State, Written};
use crate::store::{Created, Freshness, Store, Stored, Updated};
use crate::timestamp::now_ms;

/// The maximum number of attempts of a save to merge its changes with those of other writers. Each
/// failed attempt means that another writer has succeeded.
const MERGE_ATTEMPTS: u32 = 256;

/// How much longer than its session a tombstone is kept. It must be longer than any request of an
/// Express service that may write the session back.
const TOMBSTONE_BEYOND: Duration = Duration::from_secs(3600);

/// The maximum number of concurrent background touches. If the store is slow, further touches are
/// left to later requests.
const MAX_TOUCHES: usize = 1024;

/// The part of a layer that all its requests share.
#[derive(Clone, Debug)]
pub(crate) struct LayerState {
    pub(crate) options: Options,
    store: Arc<dyn Store>,
    /// The index of each account's sessions, if the layer keeps one.
    pub(crate) accounts: Option<AccountSessions>,
    recent_cookie: Arc<RecentCookie>,
    recent_uses: Arc<RecentUses>,
    /// Permits for background touches.
    touches: Arc<Semaphore>,
    /// The background touches, to wait for at shutdown.
    tasks: TaskTracker,
}

/// The request and the layer of a session.
#[derive(Debug)]
pub(crate) struct Context {
    shared: Arc<LayerState>,
    pub(crate) request: RequestFacts,
}

/// A change that a save applies again to each version of the record that it finds in the store.
pub(crate) type Change<'a> = dyn FnMut(&mut Record) -> Result<(), Error> + Send + 'a;

impl LayerState {
    pub(crate) fn new(
        options: Options,
        store: Arc<dyn Store>,
        accounts: Option<AccountSessions>,
    ) -> Self {
        let touches = Arc::new(Semaphore::new(MAX_TOUCHES));
        Self {
            options,
            store,
            accounts,
            recent_cookie: Arc::default(),
            recent_uses: Arc::default(),
            touches,
            tasks: TaskTracker::new(),
        }
    }

    /// Waits for the background touches, and ends the store's tasks.
    pub(crate) async fn shut_down(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.store.shut_down().await;
    }
}

impl Context {
    pub(crate) fn new(shared: Arc<LayerState>, request: RequestFacts) -> Self {
        Self { shared, request }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Returns the session that the request names, or a new one.
    pub(crate) async fn open(&self, freshness: Freshness) -> Result<State, Error> {
        for Unsigned { id, .. } in &self.request.ids {
            match self.load(id, freshness).await {
                Ok(Some((stored, record))) => {
                    let resave = self.options().rules.resave;
                    return Ok(State::loaded(id.clone(), stored, record, resave, now_ms()));
                }
                Ok(None) => self.options().emit(Event::Unknown),
                Err(error) if self.options().strict => return Err(error),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(session.id = ?id, %error, "ignoring a corrupt session");
                    self.options().emit(Event::Corrupt);
                }
                Err(error)
                    if error.kind() == ErrorKind::Unavailable
                        && self.options().when_unavailable == WhenUnavailable::Anonymous =>
                {
                    error.log("serving a request without its session");
                    return Ok(State::stand_in(self.options().new_id()?, self.new_record()?));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(State::new(self.options().new_id()?, self.new_record()?))
    }

    /// Returns an empty session.
    pub(crate) fn new_record(&self) -> Result<Record, Error> {
        Ok(Record::new(self.cookie_options().make(self.request.secure, now_ms())?))
    }

    /// Returns the cookie of sessions that this request creates.
    pub(crate) fn cookie_options(&self) -> &CookieOptions {
        self.request.cookie.as_ref().unwrap_or(&self.options().cookie)
    }

    /// Loads a stored session; `None` if there is none.
    pub(crate) async fn load(
        &self,
        id: &SessionId,
        freshness: Freshness,
    ) -> Result<Option<(Stored, Record)>, Error> {
        let load = self.shared.store.load(id, freshness);
        let load = load.instrument(tracing::debug_span!("session.load"));
        let Some(stored) = self.reported(load).await? else { return Ok(None) };
        let record = self.parse(&stored)?;
        if record.is_some() {
            self.options().emit(Event::Loaded);
        }
        Ok(record.map(|record| (stored, record)))
    }

    /// Returns whether the session exists, according to the cache if there is one.
    pub(crate) async fn is_stored(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.shared.store.load(id, Freshness::Cached).await?.is_some())
    }

    /// Parses a stored session. Outside the strict mode, a cookie whose lifetime cannot be restarted
    /// counts as corrupt, because Express fails on it at the end of the request.
    fn parse(&self, stored: &Stored) -> Result<Option<Record>, Error> {
        if self.options().strict {
            return Record::parse(&stored.value, Reading::AsNode, now_ms());
        }
        let record = stored.record.parse(&stored.value, &self.shared.recent_cookie, now_ms())?;
        match &record {
            Some(record) if !record.cookie.can_be_touched() => Err(ErrorKind::Corrupt.into()),
            _ => Ok(record),
        }
    }

    /// Applies `change` to `mine` and writes the result, merged with the changes of other writers
    /// since `base`. Returns what is stored afterwards.
    pub(crate) async fn write(
        &self,
        id: &SessionId,
        mine: &Record,
        base: &Basis,
        ttl: Duration,
        change: &mut Change<'_>,
    ) -> Result<(Record, Written), Error> {
        let write = self.merge_and_write(id, mine, base, ttl, change);
        self.reported(write.instrument(tracing::debug_span!("session.save"))).await
    }

    async fn merge_and_write(
        &self,
        id: &SessionId,
        mine: &Record,
        base: &Basis,
        ttl: Duration,
        change: &mut Change<'_>,
    ) -> Result<(Record, Written), Error> {
        let store = &self.shared.store;
        let mut record = mine.clone();
        change(&mut record)?;
        let mut value = record.to_json();
        if self.options().strict {
            store.overwrite(id, value.clone(), ttl).await?;
            return Ok((record, Written { value, ttl }));
        }
        let base = match base {
            Basis::Stored(base) => base,
            Basis::New { epoch } => {
                return match store.create(id, value.clone(), ttl, *epoch).await? {
                    Created::Stored => {
                        self.options().emit(Event::Created);
                        Ok((record, Written { value, ttl }))
                    }
                    Created::Exists => Err(ErrorKind::Conflict.into()),
                };
            }
        };
        let mut expected = base.value.clone();
        for merges in 0..MERGE_ATTEMPTS {
            match store.update(id, &expected, value.clone(), ttl).await? {
                Updated::Stored => {
                    self.options().emit(Event::Updated { merges });
                    return Ok((record, Written { value, ttl }));
                }
                Updated::Gone => return Err(ErrorKind::Gone.into()),
                Updated::Changed(current) => {
                    let theirs =
                        self.parse(&Stored::new(current.clone(), ttl))?.ok_or(ErrorKind::Gone)?;
                    record = merge(&base.record, mine, &theirs);
                    change(&mut record)?;
                    (expected, value) = (current, record.to_json());
                }
            }
        }
        Err(ErrorKind::Conflict.into())
    }

    /// Restarts the time to live of a stored session. Returns whether the session exists.
    pub(crate) async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let touch = self.shared.store.touch(id, ttl);
        let touch = touch.instrument(tracing::debug_span!("session.touch"));
        let found = self.reported(touch).await?;
        self.options().emit(if found { Event::Touched } else { Event::Gone });
        Ok(found)
    }

    /// Touches a session in the background, so that the response does not wait. If the touch fails,
    /// or too many are in progress, the next request tries again.
    pub(crate) fn touch_in_background(
        self: &Arc<Self>,
        id: &SessionId,
        ttl: Duration,
        account: Option<String>,
    ) {
        let Ok(place) = Arc::clone(&self.shared.touches).try_acquire_owned() else { return };
        let (context, id) = (Arc::clone(self), id.clone());
        self.shared.tasks.spawn(async move {
            let touched = context.touch(&id, ttl).await;
            if let Err(error) = &touched {
                error.log("cannot touch a session");
            }
            if let (Ok(true), Some(accounts), Some(account)) =
                (touched, &context.shared.accounts, account)
            {
                accounts.index_use(&account, context.seen(&id), ttl).await;
            }
            drop(place);
        });
    }

    /// Indexes the use of a session that no touch prolongs, in the background and as often as a
    /// touch would.
    pub(crate) fn index_in_background(
        self: &Arc<Self>,
        id: &SessionId,
        ttl: Duration,
        account: Option<String>,
    ) {
        let (Some(_), Some(account)) = (&self.shared.accounts, account) else { return };
        let Some(quiet) = policy::quiet_time(ttl, self.options().touch_after) else { return };
        let Ok(place) = Arc::clone(&self.shared.touches).try_acquire_owned() else { return };
        if !self.shared.recent_uses.is_due(id, quiet, Instant::now()) {
            return;
        }
        let (context, id) = (Arc::clone(self), id.clone());
        self.shared.tasks.spawn(async move {
            if let Some(accounts) = &context.shared.accounts {
                accounts.index_use(&account, context.seen(&id), ttl).await;
            }
            drop(place);
        });
    }

    /// Indexes a session under its account.
    pub(crate) async fn index_login(&self, id: &SessionId, ttl: Duration, account: &str) {
        if let Some(accounts) = &self.shared.accounts {
            accounts.index_login(account, self.seen(id), ttl).await;
        }
    }

    pub(crate) fn accounts(&self) -> Option<&AccountSessions> {
        self.shared.accounts.as_ref()
    }

    /// Deletes a stored session and leaves a tombstone for as long as another program may write it
    /// back. Returns whether the session existed.
    pub(crate) async fn destroy(
        &self,
        id: &SessionId,
        cookie: Option<&Cookie>,
    ) -> Result<bool, Error> {
        let tombstone = match self.options().strict {
            true => Duration::ZERO,
            false => {
                let lifetime = cookie.and_then(Cookie::original_max_age);
                lifetime
                    .unwrap_or_default()
                    .max(self.options().ttl)
                    .saturating_add(TOMBSTONE_BEYOND)
            }
        };
        let destroy = self.shared.store.destroy(id, tombstone);
        let destroy = destroy.instrument(tracing::debug_span!("session.destroy"));
        let was_there = self.reported(destroy).await?;
        self.options().emit(Event::Destroyed);
        Ok(was_there)
    }

    fn seen<'a>(&'a self, id: &'a SessionId) -> SessionUse<'a> {
        let user_agent = self.request.user_agent.as_ref();
        let user_agent = user_agent.and_then(|agent| agent.to_str().ok());
        SessionUse { id, user_agent, address: self.request.address }
    }

    /// Emits an event if the operation fails.
    async fn reported<T>(
        &self,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        operation.await.inspect_err(|error| match error.kind() {
            ErrorKind::Gone => self.options().emit(Event::Gone),
            kind => self.options().emit(Event::Failed(kind)),
        })
    }
}
