//! Finds the account of a session.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tower_express_session::accounts::AccountOptions;
use tower_express_session::{Error as SessionError, LazySession, Session, SessionId};

use crate::domain::{Email, User, UserId};
use crate::storage::{Credentials, Role, Standing, StorageError, Users};

/// The name of the session cookie.
pub(crate) const COOKIE: &str = "checkinapp";

/// The session attribute with the e-mail address of the logged-in account, all that an Express
/// login stores.
const USER: &str = "user";

/// The maximum number of sessions whose account is cached, and of accounts whose standing is.
const MAX_CACHED: usize = 100_000;

/// How long it is cached which account has the address in a session.
const REMEMBERED: Duration = Duration::from_secs(15);

/// Finds the account of a session, mostly without asking the store.
#[derive(Clone)]
pub struct Accounts {
    users: Arc<dyn Users>,
    known: Arc<Cache<SessionId, Arc<RememberedAccount>>>,
    standings: Arc<Cache<UserId, RememberedStanding>>,
    /// How long a standing may be used without reading it again. `Revocation` waits this long after it has raised an epoch.
    lease: Duration,
}

/// The account of a session that was valid.
struct RememberedAccount {
    /// An Express service may give a session to another account.
    email: Email,
    user: UserId,
    since: Instant,
}

/// The standing of an account, which all of its sessions share.
#[derive(Clone)]
struct RememberedStanding {
    standing: Standing,
    /// When the read began.
    since: Instant,
}

/// Why the account of a session is not known.
#[derive(Debug)]
pub(crate) enum AccountError {
    /// Nobody is logged in, the account is gone, or its sessions were ended since the login.
    NotLoggedIn,
    /// The store failed.
    Storage(StorageError),
    /// The session failed.
    Session(SessionError),
}

impl From<SessionError> for AccountError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<StorageError> for AccountError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Accounts {
    /// Creates the caches; accounts that are not in them are read from `users`. The standing of an account is
    /// cached for the time of `lease`.
    #[must_use]
    pub fn new(users: Arc<dyn Users>, lease: Duration) -> Self {
        let (known, standings) =
            (Arc::new(Cache::new(MAX_CACHED)), Arc::new(Cache::new(MAX_CACHED)));
        Self { users, known, standings, lease }
    }

    /// Returns the user who is logged in.
    ///
    /// # Errors
    ///
    /// As [`AccountError`] says.
    pub(crate) async fn logged_in(&self, session: &Session) -> Result<UserId, AccountError> {
        let (id, email) = (session.id(), email_of(session)?);
        match self.remembered(&id) {
            Some(known) if known.email.is_of_same_account(&email) => {
                self.check(session, known.user).await
            }
            _ => self.look_up(session, id, email).await,
        }
    }

    /// Returns the user of a request's session, as it is stored, and the role of the account. If the account of the session is
    /// remembered, both are read at the same time, in one round trip.
    ///
    /// # Errors
    ///
    /// As [`AccountError`] says.
    pub(crate) async fn user_of(
        &self,
        request: &LazySession,
    ) -> Result<(User, Role), AccountError> {
        if let Some(known) = request.requested_id().and_then(|id| self.remembered(id)) {
            let read = self.users.user_with_standing(known.user);
            let (session, user) = tokio::join!(request.session(), read);
            let session = session?;
            let email = email_of(&session)?;
            if let Ok(Some((user, standing))) = user
                && user.email.is_of_same_account(&email)
                && is_valid(&session, &standing)
            {
                return Ok((user, standing.role));
            }
        }
        let session = request.session().await?;
        let (id, since) = (session.id(), Instant::now());
        let email = email_of(&session)?;
        let user = self.users.user_by_email(&email).await?.ok_or(AccountError::NotLoggedIn)?;
        // Read after the user, so that a session from before a change in between is not valid.
        let standing = self.users.standing(user.id).await?;
        expect_valid(&session, &standing).await?;
        self.remember(id, RememberedAccount { email, user: user.id, since });
        Ok((user, standing.role))
    }

    /// Returns what is remembered about a session.
    fn remembered(&self, id: &SessionId) -> Option<Arc<RememberedAccount>> {
        self.known.get(id).filter(|known| known.since.elapsed() < REMEMBERED)
    }

    fn remember(&self, id: SessionId, account: RememberedAccount) {
        self.known.insert(id, Arc::new(account));
    }

    /// Returns the account of a session if the session is still valid. A standing that is remembered may only admit:
    /// it may be older than the session.
    async fn check(&self, session: &Session, user: UserId) -> Result<UserId, AccountError> {
        let remembered = self.standings.get(&user);
        let is_admitted = remembered.is_some_and(|remembered| {
            remembered.since.elapsed() < self.lease && is_valid(session, &remembered.standing)
        });
        if !is_admitted {
            let since = Instant::now();
            let standing = self.users.standing(user).await?;
            expect_valid(session, &standing).await?;
            self.standings.insert(user, RememberedStanding { standing, since });
        }
        Ok(user)
    }

    /// Reads the account of a session and remembers it.
    async fn look_up(
        &self,
        session: &Session,
        id: SessionId,
        email: Email,
    ) -> Result<UserId, AccountError> {
        let since = Instant::now();
        let Credentials { id: user, standing, .. } = account_of(session, &*self.users).await?;
        self.remember(id, RememberedAccount { email, user, since });
        self.standings.insert(user, RememberedStanding { standing, since });
        Ok(user)
    }
}

/// Returns the account of a session, as it is stored.
///
/// # Errors
///
/// As [`AccountError`] says.
pub(crate) async fn account_of(
    session: &Session,
    users: &dyn Users,
) -> Result<Credentials, AccountError> {
    let account = users.credentials_by_email(&email_of(session)?).await?;
    let account = account.ok_or(AccountError::NotLoggedIn)?;
    expect_valid(session, &account.standing).await?;
    Ok(account)
}

/// Ends a session that its account's standing does not admit.
async fn expect_valid(session: &Session, standing: &Standing) -> Result<(), AccountError> {
    if is_valid(session, standing) {
        return Ok(());
    }
    // Express services must not accept it either. Here it has ended whether this succeeds or not.
    drop(session.log_out().await);
    Err(AccountError::NotLoggedIn)
}

/// Returns whether a session is valid by the standing of its account.
fn is_valid(session: &Session, standing: &Standing) -> bool {
    standing.admits(session.epoch(), || session.id().handle())
}

/// Returns the address in a session. A value that is not an address is not a login, whichever
/// service wrote it.
pub(super) fn email_of(session: &Session) -> Result<Email, AccountError> {
    let text = session.get::<String>(USER).ok().flatten();
    text.and_then(|text| text.parse().ok()).ok_or(AccountError::NotLoggedIn)
}

/// Returns how the session layer finds the account of a session: by the address in its canonical
/// form, whichever service wrote it.
#[must_use]
pub(crate) fn account_options() -> AccountOptions {
    AccountOptions::new(USER)
        .named_by(|json| account_name(&serde_json::from_str::<String>(json).ok()?))
}

/// Returns the name under which the sessions of an account are indexed, from the address in a session.
pub(crate) fn account_name(address: &str) -> Option<String> {
    Email::known(address).ok().map(|email| email.canonical())
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("remembered", &self.known.len()).finish()
    }
}
