//! The handle on the sessions of accounts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::index::{AccountIndex, SessionUse, candidates};
use super::options::AccountOptions;
use super::outdated::Outdated;
use super::revoked::Revoked;
use crate::error::{ConfigError, Error};
use crate::id::SessionId;
use crate::options::DEFAULT_TTL;
use crate::record::Attributes;
use crate::store::{AccountStore, IndexedSession};

/// Lists and revokes the sessions of each account.
///
/// Build the layer with [`account_sessions`](crate::SessionLayerBuilder::account_sessions) and take this
/// as an argument of a handler, or from the [layer](crate::SessionLayer::account_sessions):
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_express_session::{AccountSessions, Error, MemoryStore, Session, SessionLayer};
///
/// async fn devices(sessions: AccountSessions, session: Session) -> Result<String, Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     let devices = sessions.list(&user).await?.into_iter().map(|session| session.device);
///     Ok(devices.collect::<Vec<_>>().join("\n"))
/// }
///
/// async fn log_out_elsewhere(sessions: AccountSessions, session: Session) -> Result<(), Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     sessions.revoke_others(&user, &session.id()).await.map(drop)
/// }
///
/// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
///     .account_sessions("user")
///     .build()?;
/// let app: Router = Router::new().route("/devices", get(devices)).layer(layer);
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
///
/// An Express service creates sessions without indexing them. [`list`](Self::list) returns those that
/// [`scan`](Self::scan) or [`rebuild_index`](Self::rebuild_index) found, or that a Rust service has
/// touched. Methods that revoke several sessions first revoke those in the index, then scan all stored
/// sessions, so that they miss none.
#[derive(Clone, Debug)]
pub struct AccountSessions(AccountIndex);

/// A session of an account, as its owner may see it. It contains nothing that gives access to the
/// session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountSession {
    /// The session's public name. The id cannot be computed from it. [`SessionId::handle`] returns
    /// that of the request's own session.
    pub handle: String,
    /// When it was created or found, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last in use, in milliseconds since 1970, as precisely as sessions are
    /// [touched](crate::SessionLayerBuilder::touch_after).
    pub last_seen_ms: u64,
    /// The browser or program: the User-Agent header, at most 256 characters; empty if unknown.
    pub device: String,
    /// The network address, if the application adds [`ClientAddress`](crate::request::ClientAddress) to
    /// requests; otherwise empty.
    pub address: String,
}

impl AccountSessions {
    /// Returns a handle for a program without a layer, such as a command-line tool. Services get theirs
    /// from the layer.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_express_session::{AccountSessions, MemoryStore};
    ///
    /// let store = Arc::new(MemoryStore::new()); // a tool opens the store of the services
    /// let sessions = AccountSessions::new(store, "user");
    /// ```
    #[must_use]
    pub fn new(store: Arc<impl AccountStore>, options: impl Into<AccountOptions>) -> Self {
        Self(AccountIndex { store, options: options.into(), lifetime: DEFAULT_TTL })
    }

    /// Sets the layer's [`ttl`](crate::SessionLayerBuilder::ttl), from which the lifetime of
    /// tombstones is computed. Only for [`new`](Self::new). Default: 24 hours.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.0.lifetime = lifetime;
        self
    }

    /// Returns the account's indexed sessions that are alive, the newest first. Entries of sessions
    /// that have ended are removed from the index.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// Dropping the call is safe at any time.
    pub async fn list(&self, account: &str) -> Result<Vec<AccountSession>, Error> {
        Ok(public(self.0.alive(account).await?))
    }

    /// Scans all stored sessions, indexes the account's, and returns them as [`list`](Self::list) does.
    /// It takes time in proportion to the number of all sessions.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have indexed some sessions.
    ///
    /// ```
    /// # use tower_express_session::{AccountSessions, Error};
    /// async fn number_of_devices(sessions: AccountSessions) -> Result<usize, Error> {
    ///     let found = sessions.scan("al").await?;
    ///     Ok(found.len())
    /// }
    /// ```
    pub async fn scan(&self, account: &str) -> Result<Vec<AccountSession>, Error> {
        Ok(public(self.0.found(account).await?))
    }

    /// Indexes one of the account's sessions, without a scan, and returns those in the index as
    /// [`list`](Self::list) does. Use it for the session of a request that is older than the hundred logins that
    /// the index keeps. A session that has ended, or belongs to another account, is not indexed.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have indexed the session.
    ///
    /// ```
    /// # use tower_express_session::{AccountSessions, Error, Session};
    /// async fn number_of_devices(sessions: AccountSessions, session: Session) -> Result<usize, Error> {
    ///     let user: String = session.get("user")?.unwrap_or_default();
    ///     Ok(sessions.add(&user, &session.id()).await?.len())
    /// }
    /// ```
    pub async fn add(
        &self,
        account: &str,
        session: &SessionId,
    ) -> Result<Vec<AccountSession>, Error> {
        self.0.index_found(account, &HashSet::from([session.clone()])).await?;
        self.list(account).await
    }

    /// Revokes one of the account's sessions. Returns whether the account has a session with this
    /// handle.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have revoked the session.
    ///
    /// ```
    /// # use tower_express_session::{AccountSessions, Error, Session};
    /// async fn log_out_device(sessions: AccountSessions, session: Session, handle: String) -> Result<bool, Error> {
    ///     let user: String = session.get("user")?.unwrap_or_default();
    ///     // The handle comes from a form. Handles of other accounts are not found.
    ///     sessions.revoke(&user, &handle).await
    /// }
    /// ```
    pub async fn revoke(&self, account: &str, handle: &str) -> Result<bool, Error> {
        let indexed = self.0.alive(account).await?;
        match indexed.into_iter().find(|session| session.id.handle() == handle) {
            Some(session) => {
                let session = candidates(account, [session.id], None);
                self.0.end_each(session, &mut Revoked::default()).await.map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Revokes all of the account's sessions except one. Returns the number of revoked sessions.
    ///
    /// # Errors
    ///
    /// Errors of the store. Some sessions may have been revoked already.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have revoked some sessions.
    pub async fn revoke_others(&self, account: &str, kept: &SessionId) -> Result<usize, Error> {
        self.revoke_each(account, Some(kept), None).await
    }

    /// Revokes all of the account's sessions. Returns the number of revoked sessions.
    ///
    /// # Errors
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// ```
    /// # use tower_express_session::{AccountSessions, Error};
    /// async fn lock_account(sessions: AccountSessions, user: &str) -> Result<usize, Error> {
    ///     sessions.revoke_all(user).await
    /// }
    /// ```
    pub async fn revoke_all(&self, account: &str) -> Result<usize, Error> {
        self.revoke_each(account, None, None).await
    }

    /// Revokes the account's sessions whose [epoch](crate::Session::epoch) is lower than `epoch`,
    /// and those that have none, such as sessions of Express. Returns the number of revoked
    /// sessions.
    ///
    /// Call it after the account's counter was raised to `epoch`. Sessions that were opened since
    /// then are kept.
    ///
    /// # Errors
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// ```
    /// # use tower_express_session::{AccountSessions, Error};
    /// async fn change_password(sessions: AccountSessions, user: &str, epoch: u64) -> Result<(), Error> {
    ///     // In one step: `UPDATE accounts SET hash = …, epoch = epoch + 1 RETURNING epoch`
    ///     sessions.revoke_before(user, epoch).await.map(drop)
    /// }
    /// ```
    pub async fn revoke_before(&self, account: &str, epoch: u64) -> Result<usize, Error> {
        self.revoke_each(account, None, Some(&Outdated::before(epoch))).await
    }

    /// Revokes the account's outdated sessions that are in the index, without a scan, and adds their number to
    /// `revoked`.
    ///
    /// Call it for a prompt response, and let [`revoke_scanned`](Self::revoke_scanned) find the others
    /// afterwards.
    ///
    /// # Errors
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_others`](Self::revoke_others).
    pub async fn revoke_indexed(
        &self,
        account: &str,
        outdated: &Outdated,
        revoked: &mut Revoked,
    ) -> Result<(), Error> {
        self.0.end_indexed(account, None, Some(outdated), revoked).await
    }

    /// Revokes the outdated sessions of several accounts that one scan of all stored sessions finds, and adds
    /// their number to `revoked`.
    ///
    /// # Errors
    ///
    /// As [`revoke_others`](Self::revoke_others). If it is called again with the same accounts and the same
    /// `revoked`, it counts each session once, whichever call revoked it.
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_others`](Self::revoke_others).
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use tower_express_session::accounts::{Outdated, Revoked};
    /// # use tower_express_session::{AccountSessions, Error};
    /// async fn end_older(sessions: AccountSessions, user: &str, epoch: u64) -> Result<usize, Error> {
    ///     let (outdated, mut revoked) = (Outdated::before(epoch), Revoked::default());
    ///     sessions.revoke_indexed(user, &outdated, &mut revoked).await?;
    ///     // Later, in the background, for all accounts that wait for it:
    ///     let outdated = HashMap::from([(user.to_owned(), outdated)]);
    ///     sessions.revoke_scanned(&outdated, &mut revoked).await?;
    ///     Ok(revoked.number())
    /// }
    /// ```
    pub async fn revoke_scanned(
        &self,
        accounts: &HashMap<String, Outdated>,
        revoked: &mut Revoked,
    ) -> Result<(), Error> {
        let found = self.0.scan(|account| accounts.contains_key(account)).await?;
        let found = found.into_iter().flat_map(|(account, ids)| {
            candidates(&account, ids, accounts.get(&account).cloned().map(Arc::new))
        });
        self.0.end_each(found, revoked).await?;
        revoked.settle();
        Ok(())
    }

    /// Revokes the sessions of all accounts that a scan of all stored sessions finds, and adds their number to
    /// `revoked`. Sessions that no account has are kept.
    ///
    /// # Errors
    ///
    /// As [`revoke_scanned`](Self::revoke_scanned).
    ///
    /// # Cancel safety
    ///
    /// As [`revoke_others`](Self::revoke_others).
    pub async fn revoke_everybody(&self, revoked: &mut Revoked) -> Result<(), Error> {
        let found = self.0.scan(|_| true).await?.into_iter();
        let found = found.flat_map(|(account, ids)| candidates(&account, ids, None));
        self.0.end_each(found, revoked).await?;
        revoked.settle();
        Ok(())
    }

    /// Scans all stored sessions and indexes those that are not in the index yet, of all accounts.
    /// Returns the number of sessions that have an account. Call it once when Express and Rust services
    /// first share a store.
    ///
    /// # Errors
    ///
    /// Errors of the store. Some sessions may have been indexed already.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have indexed some sessions.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.account_sessions("user").build()?;
    /// if let Some(sessions) = layer.account_sessions() {
    ///     let indexed = sessions.rebuild_index().await?;
    /// #   assert_eq!(indexed, 0);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rebuild_index(&self) -> Result<usize, Error> {
        let found = self.0.index_all().await?;
        Ok(found.values().map(HashSet::len).sum())
    }

    /// Scans all stored sessions, indexes them, and returns the sorted names of the accounts that
    /// have sessions. It takes time in proportion to the number of all sessions.
    ///
    /// # Errors
    ///
    /// As [`rebuild_index`](Self::rebuild_index).
    ///
    /// # Cancel safety
    ///
    /// As [`rebuild_index`](Self::rebuild_index).
    pub async fn accounts(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = self.0.index_all().await?.into_keys().collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Revokes the indexed sessions, then those that a scan finds, except the one that is kept.
    async fn revoke_each(
        &self,
        account: &str,
        kept: Option<&SessionId>,
        outdated: Option<&Outdated>,
    ) -> Result<usize, Error> {
        let mut revoked = Revoked::default();
        self.0.end_indexed(account, kept, outdated, &mut revoked).await?;
        if self.0.options.all_are_indexed {
            return Ok(revoked.number());
        }
        let mut found = self.0.scan(|name| name == account).await?;
        let found = found.remove(account).unwrap_or_default().into_iter();
        let others = found.filter(|id| Some(id) != kept);
        let others = candidates(account, others, outdated.cloned().map(Arc::new));
        self.0.end_each(others, &mut revoked).await?;
        Ok(revoked.number())
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.0.options.check()
    }

    /// Returns the account of a session with these attributes.
    pub(crate) fn account_of(&self, attributes: &Attributes) -> Option<String> {
        self.0.options.account_of(attributes)
    }

    pub(crate) fn is_unnamed(&self, attributes: &Attributes) -> bool {
        self.0.options.is_unnamed(attributes)
    }

    pub(crate) fn attribute(&self) -> &str {
        self.0.options.attribute()
    }

    pub(crate) async fn index_use(&self, account: &str, seen: SessionUse<'_>, ttl: Duration) {
        self.0.index_use(account, seen, ttl).await;
    }

    pub(crate) async fn index_login(&self, account: &str, seen: SessionUse<'_>, ttl: Duration) {
        self.0.index_login(account, seen, ttl).await;
    }
}

fn public(sessions: Vec<IndexedSession>) -> Vec<AccountSession> {
    sessions.into_iter().map(AccountSession::from).collect()
}

impl From<IndexedSession> for AccountSession {
    fn from(session: IndexedSession) -> Self {
        let IndexedSession { id, created_ms, last_seen_ms, device, address } = session;
        Self { handle: id.handle(), created_ms, last_seen_ms, device, address }
    }
}
