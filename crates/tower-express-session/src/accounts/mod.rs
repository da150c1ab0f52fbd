//! An account's sessions: list them, end them.

mod index;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use index::Seen;

use crate::error::Error;
use crate::id::SessionId;
use crate::options::{DEFAULT_TTL, Hook};
use crate::record::{Attributes, Reading, Record};
use crate::store::{AccountStore, NotedSession};

/// An account with a longer name is not listed: a name is a key of the index.
const MAX_ACCOUNT_BYTES: usize = 512;

/// What is noted of a session outlives it by so much.
const KEPT_BEYOND: Duration = Duration::from_secs(3600);

/// The sessions of each account, found by the attribute that says whose a session is.
///
/// Give a clone to [`SessionLayer::accounts`](crate::SessionLayer::accounts), which notes each login,
/// and use another in handlers:
///
/// ```
/// use std::sync::Arc;
/// use tower_express_session::{Accounts, Error, MemoryStore, Secrets, Session, SessionLayer};
///
/// let store = Arc::new(MemoryStore::new());
/// let accounts = Accounts::new(store.clone(), "user");
/// let secrets = Secrets::new(["keyboard cat"])?;
/// let layer = SessionLayer::with_shared_store(store, secrets).accounts(accounts.clone());
///
/// async fn end_others(accounts: Accounts, session: Session) -> Result<usize, Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     accounts.end_others(&user, &session.id()).await
/// }
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
///
/// Express services make sessions that nobody notes. [`list`](Self::list) knows of those that
/// [`find`](Self::find) or [`rebuild`](Self::rebuild) came upon, or that were used here for a while;
/// what ends sessions looks through all of them first, so that none is left out.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    attribute: Arc<str>,
    name: Option<Hook<NameOf>>,
    max_sessions: usize,
    all_are_noted: bool,
    lifetime: Duration,
}

type NameOf = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A session of an account, for its owner to see. Nothing in it opens the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSession {
    /// Names the session in public; nobody can find out its id from it. That of the request's own
    /// session is [`SessionId::handle`].
    pub handle: String,
    /// When it was made or found, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was last seen in use, in milliseconds since 1970: as exactly as sessions are
    /// [touched](crate::SessionLayer::touch_after).
    pub last_seen_ms: u64,
    /// The browser or program, as its User-Agent header says, 256 characters at most; empty if
    /// unknown.
    pub device: String,
    /// The network address, if the application says so with [`ClientAddress`]; else empty.
    pub address: String,
}

/// A request extension that says which address a request came from, for lists of an account's
/// sessions. The application knows whether a proxy is to be believed, so it inserts it.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request};
/// use tower_express_session::ClientAddress;
///
/// /// For `axum::middleware::map_request`, around the session layer; no proxy in front.
/// async fn note_address(mut request: Request) -> Request {
///     let peer = request.extensions().get().map(|ConnectInfo::<SocketAddr>(peer)| peer.ip());
///     if let Some(address) = peer {
///         request.extensions_mut().insert(ClientAddress(address));
///     }
///     request
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl Accounts {
    /// The accounts that `attribute` names: its text, or the digits of its number. Sessions whose
    /// attribute is something else, or longer than 512 bytes, are nobody's.
    #[must_use]
    pub fn new(store: Arc<dyn AccountStore>, attribute: &str) -> Self {
        Self {
            store,
            attribute: attribute.into(),
            name: None,
            max_sessions: usize::MAX,
            all_are_noted: false,
            lifetime: DEFAULT_TTL,
        }
    }

    /// Gives an account's name from the attribute's JSON, where it is not simply its text: of two
    /// spellings of one e-mail address the same. `None` is nobody's session. Names given to the
    /// methods of this type are names as this gives them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tower_express_session::{Accounts, MemoryStore};
    /// // The attribute is an object, as Passport's: {"user":7}
    /// let accounts = Accounts::new(Arc::new(MemoryStore::new()), "passport").named_by(|json| {
    ///     let passport: serde_json::Value = serde_json::from_str(json).ok()?;
    ///     Some(passport["user"].as_u64()?.to_string())
    /// });
    /// ```
    #[must_use]
    pub fn named_by(
        mut self,
        name: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.name = Some(Hook(Arc::new(name)));
        self
    }

    /// At most so many sessions of one account at once: a login beyond it ends the oldest. Default:
    /// any number, of which the newest hundred are noted.
    #[must_use]
    pub fn max_sessions(mut self, max: usize) -> Self {
        self.max_sessions = max.max(1);
        self
    }

    /// Says that no Express service makes sessions here, so that what ends sessions need not look
    /// through all of them.
    #[must_use]
    pub fn all_are_noted(mut self) -> Self {
        self.all_are_noted = true;
        self
    }

    /// The layer's [`ttl`](crate::SessionLayer::ttl), if it has another than 24 hours: the ids of
    /// ended sessions are barred for longer than that.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The account's sessions that are noted and alive, the newest first. Entries of others are
    /// dropped on the way.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves nothing behind.
    pub async fn list(&self, account: &str) -> Result<Vec<AccountSession>, Error> {
        Ok(self.alive(account).await?.into_iter().map(AccountSession::from).collect())
    }

    /// Like [`list`](Self::list), after a look through all stored sessions; the account's are noted.
    /// Takes time in proportion to their number.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have noted some.
    pub async fn find(&self, account: &str) -> Result<Vec<AccountSession>, Error> {
        Ok(self.found(account).await?.into_iter().map(AccountSession::from).collect())
    }

    /// Ends one of the account's sessions; false if it has none of this handle.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not have ended it.
    pub async fn end(&self, account: &str, handle: &str) -> Result<bool, Error> {
        let noted = self.alive(account).await?;
        match noted.into_iter().find(|session| session.id.handle() == handle) {
            Some(session) => self.end_all_of(account, vec![session.id]).await.map(|_| true),
            None => Ok(false),
        }
    }

    /// Ends all of the account's sessions but one, and says how many.
    ///
    /// # Errors
    ///
    /// Errors of the store; some have ended then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have ended some.
    pub async fn end_others(&self, account: &str, kept: &SessionId) -> Result<usize, Error> {
        let sessions = self.to_end(account).await?.into_iter();
        let others = sessions.map(|session| session.id).filter(|id| id != kept);
        self.end_all_of(account, others.collect()).await
    }

    /// Ends all of the account's sessions, and says how many.
    ///
    /// # Errors
    ///
    /// As [`end_others`](Self::end_others).
    ///
    /// # Cancel safety
    ///
    /// As [`end_others`](Self::end_others).
    pub async fn end_all(&self, account: &str) -> Result<usize, Error> {
        let sessions = self.to_end(account).await?.into_iter();
        self.end_all_of(account, sessions.map(|session| session.id).collect()).await
    }

    /// Ends those of the account's sessions that have no [epoch](crate::Session::epoch), as sessions of
    /// Express, or one before `epoch`; returns how many. Use it after the account's counter was raised
    /// to `epoch`: it leaves sessions alone that were opened since then. Those that are noted end
    /// first.
    ///
    /// # Errors
    ///
    /// As [`end_others`](Self::end_others).
    ///
    /// # Cancel safety
    ///
    /// As [`end_others`](Self::end_others).
    pub async fn end_older(&self, account: &str, epoch: u64) -> Result<usize, Error> {
        let ids = |sessions: Vec<NotedSession>| sessions.into_iter().map(|session| session.id);
        let noted = ids(self.alive(account).await?).collect();
        let mut ended = self.end_all_before(account, noted, Some(epoch)).await?;
        if !self.all_are_noted {
            let found = ids(self.found(account).await?).collect();
            ended += self.end_all_before(account, found, Some(epoch)).await?;
        }
        Ok(ended)
    }

    /// Looks through all stored sessions and notes those that are not noted yet, of all accounts;
    /// says how many sessions have one. For when Express services and ours first meet.
    ///
    /// # Errors
    ///
    /// Errors of the store; some are noted then.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may have noted some.
    pub async fn rebuild(&self) -> Result<usize, Error> {
        let found = self.note_all().await?;
        Ok(found.values().map(HashSet::len).sum())
    }

    /// Returns the names of the accounts that have sessions, in order, after a look through all stored
    /// sessions, which are noted. Takes time in proportion to their number.
    ///
    /// # Errors
    ///
    /// As [`rebuild`](Self::rebuild).
    ///
    /// # Cancel safety
    ///
    /// As [`rebuild`](Self::rebuild).
    pub async fn accounts(&self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = self.note_all().await?.into_keys().collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn note_all(&self) -> Result<HashMap<String, HashSet<SessionId>>, Error> {
        let mut found: HashMap<String, HashSet<SessionId>> = HashMap::new();
        let mut visit = |id, value| {
            if let Some(account) = self.account_in(&value) {
                found.entry(account).or_default().insert(id);
            }
        };
        self.store.each(&mut visit).await?;
        for (account, ids) in &found {
            self.note_found(account, ids).await?;
        }
        Ok(found)
    }

    /// Whose session this is.
    pub(crate) fn account_of(&self, attributes: &Attributes) -> Option<String> {
        let json = attributes.get(self.attribute.as_bytes())?;
        let name = match &self.name {
            Some(name) => (name.0)(json)?,
            None => plain_name(json)?,
        };
        (!name.is_empty() && name.len() <= MAX_ACCOUNT_BYTES).then_some(name)
    }

    pub(crate) fn attribute(&self) -> &str {
        &self.attribute
    }

    fn account_in(&self, value: &Bytes) -> Option<String> {
        self.account_of(&read(value)?.attributes)
    }
}

/// Whose session it is.
pub(crate) struct Account {
    pub(crate) name: String,
    /// This request made the session theirs.
    pub(crate) is_new: bool,
}

/// Whatever cannot be read is nobody's.
fn read(value: &Bytes) -> Option<Record> {
    Record::parse(value, Reading::Verbatim, 0.0).ok().flatten()
}

fn plain_name(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl From<NotedSession> for AccountSession {
    fn from(session: NotedSession) -> Self {
        let NotedSession { id, created_ms, last_seen_ms, device, address } = session;
        Self { handle: id.handle(), created_ms, last_seen_ms, device, address }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("attribute", &self.attribute).finish_non_exhaustive()
    }
}
