//! What a session needs to know of its request, and how it comes from the store and goes there.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::accounts::{Accounts, Seen};
use crate::cookie::Cookie;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::{CookieOptions, Options, WhenAway};
use crate::record::Record;
use crate::signature::Unsigned;
use crate::state::{Basis, State};
use crate::store::{Created, Freshness, Store, Stored, Updated};
use crate::timestamp::now_ms;

/// How often a save merges with what others wrote meanwhile before it gives up. With each attempt
/// that fails, another writer's has succeeded.
const MERGE_ATTEMPTS: u32 = 256;

/// An id is barred for so long beyond the lifetime of its session: longer than any request of an
/// Express service is under way that may write the session back.
const BARRED_BEYOND: Duration = Duration::from_secs(3600);

/// So many touches are under way behind the responses; while the store is slow the others are left to
/// later requests.
const MAX_TOUCHES: usize = 1024;

/// What all requests of a layer share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    store: Arc<dyn Store>,
    /// Where each login is noted, if anywhere.
    pub(crate) accounts: Option<Accounts>,
    /// Places for touches that no response waits for.
    touches: Arc<Semaphore>,
}

/// What a session needs to know of its request.
#[derive(Debug)]
pub(crate) struct Context {
    shared: Arc<Shared>,
    pub(crate) request: RequestFacts,
}

/// What a request says that matters for its session.
#[derive(Debug)]
pub(crate) struct RequestFacts {
    /// The ids that came with the request under a good signature, in order. In strict mode at most
    /// the first cookie's.
    pub(crate) ids: Vec<Unsigned>,
    /// They came in a header for programs, and not in a cookie; the answer goes the same way.
    pub(crate) by_token: bool,
    /// The request came over TLS.
    pub(crate) secure: bool,
    /// The cookie of sessions that this request makes, where it is not the same for all.
    pub(crate) cookie: Option<CookieOptions>,
    /// What made it and where it came from, for the list of an account's sessions.
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) address: Option<IpAddr>,
}

/// What a write left in the store.
pub(crate) struct Written {
    pub(crate) value: Bytes,
    pub(crate) ttl: Duration,
}

/// A change that is made again on each version of a record that a save comes upon.
pub(crate) type Change<'a> = dyn FnMut(&mut Record) -> Result<(), Error> + Send + 'a;

impl Shared {
    pub(crate) fn new(options: Options, store: Arc<dyn Store>) -> Self {
        let touches = Arc::new(Semaphore::new(MAX_TOUCHES));
        Self { options, store, accounts: None, touches }
    }
}

impl RequestFacts {
    fn seen<'a>(&'a self, id: &'a SessionId) -> Seen<'a> {
        let user_agent = self.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
        Seen { id, user_agent, address: self.address }
    }
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, request: RequestFacts) -> Self {
        Self { shared, request }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The session that the request names, or a new one.
    pub(crate) async fn open(&self, freshness: Freshness) -> Result<State, Error> {
        for Unsigned { id, .. } in &self.request.ids {
            match self.load(id, freshness).await {
                Ok(Some((stored, record))) => {
                    let resave = self.options().rules.resave;
                    return Ok(State::loaded(id.clone(), stored, record, resave));
                }
                Ok(None) => self.options().tell(Event::Unknown),
                Err(error) if self.options().strict => return Err(error),
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(session.id = ?id, %error, "ignoring a corrupt session");
                    self.options().tell(Event::Corrupt);
                }
                Err(error)
                    if error.kind() == ErrorKind::Unavailable
                        && self.options().when_away == WhenAway::Anonymous =>
                {
                    error.log("serving a request without its session");
                    return Ok(State::stand_in(self.options().new_id()?, self.new_record()?));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(State::new(self.options().new_id()?, self.new_record()?))
    }

    /// An empty session.
    pub(crate) fn new_record(&self) -> Result<Record, Error> {
        Ok(Record::new(self.cookie_options().make(self.request.secure, now_ms())?))
    }

    /// The cookie of sessions that this request makes.
    pub(crate) fn cookie_options(&self) -> &CookieOptions {
        self.request.cookie.as_ref().unwrap_or(&self.options().cookie)
    }

    /// A stored session; nothing where there is none.
    pub(crate) async fn load(
        &self,
        id: &SessionId,
        freshness: Freshness,
    ) -> Result<Option<(Stored, Record)>, Error> {
        let load = self.shared.store.load(id, freshness);
        let load = load.instrument(tracing::debug_span!("session.load"));
        let Some(stored) = self.told(load).await? else { return Ok(None) };
        let record = self.parse(&stored.value)?;
        if record.is_some() {
            self.options().tell(Event::Loaded);
        }
        Ok(record.map(|record| (stored, record)))
    }

    /// Whether the session is there, as far as a cache knows.
    pub(crate) async fn is_stored(&self, id: &SessionId) -> Result<bool, Error> {
        Ok(self.shared.store.load(id, Freshness::Cached).await?.is_some())
    }

    /// The record in a stored value. Outside the strict mode a cookie whose lifetime cannot be
    /// started again is corrupt, too: Express fails on it at the end of the request.
    fn parse(&self, value: &Bytes) -> Result<Option<Record>, Error> {
        let now_ms = now_ms();
        let record = Record::parse(value, self.options().reading(), now_ms)?;
        if let (Some(record), false) = (&record, self.options().strict) {
            record.cookie.clone().touch(now_ms).map_err(|_| ErrorKind::Corrupt)?;
        }
        Ok(record)
    }

    /// Writes `mine` with `change` made on it, merged with what others wrote since `base`, and gives
    /// what is stored then.
    pub(crate) async fn write(
        &self,
        id: &SessionId,
        mine: &Record,
        base: &Basis,
        ttl: Duration,
        change: &mut Change<'_>,
    ) -> Result<(Record, Written), Error> {
        let write = self.merge_and_write(id, mine, base, ttl, change);
        self.told(write.instrument(tracing::debug_span!("session.save"))).await
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
                        self.options().tell(Event::Created);
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
                    self.options().tell(Event::Updated { merges });
                    return Ok((record, Written { value, ttl }));
                }
                Updated::Gone => return Err(ErrorKind::Gone.into()),
                Updated::Changed(current) => {
                    let theirs = self.parse(&current)?.ok_or(ErrorKind::Gone)?;
                    record = merge(&base.record, mine, &theirs);
                    change(&mut record)?;
                    (expected, value) = (current, record.to_json());
                }
            }
        }
        Err(ErrorKind::Conflict.into())
    }

    /// Starts the time of a stored session again; false if there is none.
    pub(crate) async fn touch(&self, id: &SessionId, ttl: Duration) -> Result<bool, Error> {
        let touch = self.shared.store.touch(id, ttl);
        let touch = touch.instrument(tracing::debug_span!("session.touch"));
        let found = self.told(touch).await?;
        self.options().tell(if found { Event::Touched } else { Event::Gone });
        Ok(found)
    }

    /// Touches a session without making its response wait. What fails is tried again by the next
    /// request, and so is what finds no place among those under way.
    pub(crate) fn touch_behind(
        self: &Arc<Self>,
        id: &SessionId,
        ttl: Duration,
        account: Option<String>,
    ) {
        let Ok(place) = Arc::clone(&self.shared.touches).try_acquire_owned() else { return };
        let (context, id) = (Arc::clone(self), id.clone());
        tokio::spawn(async move {
            let touched = context.touch(&id, ttl).await;
            if let Err(error) = &touched {
                error.log("cannot touch a session");
            }
            if let (Ok(true), Some(accounts), Some(account)) =
                (touched, &context.shared.accounts, account)
            {
                accounts.note(&account, context.request.seen(&id), ttl).await;
            }
            drop(place);
        });
    }

    /// Notes a session under the account that it was given.
    pub(crate) async fn note_login(&self, id: &SessionId, ttl: Duration, account: &str) {
        if let Some(accounts) = &self.shared.accounts {
            accounts.note_login(account, self.request.seen(id), ttl).await;
        }
    }

    pub(crate) fn accounts(&self) -> Option<&Accounts> {
        self.shared.accounts.as_ref()
    }

    /// Ends a stored session, and bars its id for as long as anybody may write it back.
    pub(crate) async fn destroy(
        &self,
        id: &SessionId,
        cookie: Option<&Cookie>,
    ) -> Result<(), Error> {
        let barred = match self.options().strict {
            true => Duration::ZERO,
            false => {
                let lifetime = cookie.and_then(Cookie::original_max_age);
                lifetime.unwrap_or_default().max(self.options().ttl).saturating_add(BARRED_BEYOND)
            }
        };
        let destroy = self.shared.store.destroy(id, barred);
        let destroy = destroy.instrument(tracing::debug_span!("session.destroy"));
        self.told(destroy).await?;
        self.options().tell(Event::Destroyed);
        Ok(())
    }

    /// Tells of an operation that failed.
    async fn told<T>(&self, operation: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        operation.await.inspect_err(|error| match error.kind() {
            ErrorKind::Gone => self.options().tell(Event::Gone),
            kind => self.options().tell(Event::Failed(kind)),
        })
    }
}
