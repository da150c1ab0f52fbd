//! Logs in with an address and a password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::time::sleep_until;
use tower_express_session::{Error as SessionError, Session};

use super::security_log::SecurityLog;
use super::tasks::{TaskError, Tasks};
use super::throttle::FailureThrottle;
use crate::domain::{Email, PasswordHash, PasswordScheme, UserId};
use crate::metrics::Throttled;
use crate::passwords::{Busy, Passwords, Verified};
use crate::storage::{Credentials, EventKind, StorageError, Users};

/// The number of wrong passwords for one account that cost nothing; each further one makes the next
/// wait longer.
const FREE_ACCOUNT_FAILURES: u32 = 5;

/// The number of wrong passwords from one network address that cost nothing. A whole office may
/// share the address.
const FREE_ADDRESS_FAILURES: u32 = 100;

/// The maximum number of accounts whose warning about an unusable password is remembered.
const MAX_UNUSABLE: usize = 10_000;

/// Checks passwords and logs sessions in; clones share the counts of failures.
#[derive(Clone)]
pub(crate) struct Login {
    users: Arc<dyn Users>,
    passwords: Passwords,
    tasks: Tasks,
    // The failures are counted per account, so that the password of an account cannot be guessed
    // from many addresses, and per address, so that one password cannot be tried on many accounts.
    account_failures: FailureThrottle<String>,
    address_failures: FailureThrottle<IpAddr>,
    throttled: Throttled,
    failure_time: Duration,
    security: SecurityLog,
    /// Accounts with a password that no login can check, for which a warning was logged.
    unusable: Arc<Cache<UserId, ()>>,
}

/// Why a login failed.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The password is wrong, or there is no such account.
    WrongPassword,
    /// The new password breaks this rule.
    NewPassword(String),
    /// Too many passwords were wrong before; the next may be tried after this time.
    TooManyFailures(Duration),
    /// Too many people log in at once.
    Busy,
    /// The work panicked.
    Panicked,
    /// The store failed.
    Storage(StorageError),
    /// The session failed.
    Session(SessionError),
}

impl Login {
    /// Creates the use case, with no failures counted. A wrong password is reported no sooner than
    /// `failure_time` after the attempt began.
    pub(crate) fn new(
        users: Arc<dyn Users>,
        passwords: Passwords,
        tasks: Tasks,
        throttled: Throttled,
        failure_time: Duration,
        security: SecurityLog,
    ) -> Self {
        Self {
            users,
            passwords,
            tasks,
            account_failures: FailureThrottle::new(FREE_ACCOUNT_FAILURES),
            address_failures: FailureThrottle::new(FREE_ADDRESS_FAILURES),
            throttled,
            failure_time,
            security,
            unusable: Arc::new(Cache::new(MAX_UNUSABLE)),
        }
    }

    /// Checks the password, gives the session a new id, and logs it in. `address` is the network
    /// that the request came from. A failure of the password is reported before a failure of the
    /// session.
    ///
    /// # Cancel safety
    ///
    /// The password is checked and its outcome counted in any case; the session may not be logged
    /// in.
    pub(crate) async fn log_in(
        &self,
        session: Result<Session, SessionError>,
        email: Email,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        self.in_failure_time(self.attempt(session, email, password, address)).await
    }

    async fn attempt(
        &self,
        session: Result<Session, SessionError>,
        email: Email,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let check = self.clone().check_password(email, password, address);
        let Credentials { id, email, epoch, .. } = self.tasks.run(check).await?;
        let session = session?;
        session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
        // A change of the password ends every session that is stored at that time. This session may
        // be stored later.
        session.save().await?;
        if self.users.epoch(id).await? > epoch {
            session.log_out().await?;
            self.security.record(EventKind::FailedLogin, Some(id), address, None).await;
            return Err(LoginError::WrongPassword);
        }
        self.security.record(EventKind::Login, Some(id), address, None).await;
        Ok(())
    }

    /// Makes each wrong password take the same time, whatever its hash costs: the kind of an
    /// account's hash, and whether there is an account, cannot be told from the time. The time is
    /// counted from here, where the request is complete: a client could choose it otherwise.
    ///
    /// The wait holds no permit and no task. It needs no limit of its own: a request waits here only
    /// after a hash was computed for it, so no more wait than are computed in that time.
    ///
    /// # Cancel safety
    ///
    /// As that of the attempt.
    pub(super) async fn in_failure_time<T>(
        &self,
        attempt: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let end = tokio::time::Instant::now() + self.failure_time;
        let result = attempt.await;
        if let Err(LoginError::WrongPassword) = result {
            sleep_until(end).await;
        }
        result
    }

    /// Returns the account if the password is right, and counts the outcome. Run it in a task, so
    /// that the outcome is also counted when the client hangs up.
    pub(super) async fn check_password(
        self,
        email: Email,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Credentials, LoginError> {
        let account = email.canonical();
        self.may_try(&account, address)?;
        let turn = self.passwords.turn().await?;
        // While this attempt waited for its turn, others may have failed.
        self.may_try(&account, address)?;
        let found = self.users.credentials_by_email(&email).await?;
        if let Some(found) = &found {
            self.warn_of_unusable(found);
        }
        let stored = found.as_ref().map(|found| found.password.clone());
        let verified = turn.verify(password, stored).await?;
        let id = found.as_ref().map(|found| found.id);
        let (Some(found), Verified::Yes | Verified::YesRehashed(_)) = (found, &verified) else {
            self.account_failures.failed(&account, Instant::now());
            if let Some(address) = address {
                self.address_failures.failed(&address, Instant::now());
            }
            self.security.record(EventKind::FailedLogin, id, address, None).await;
            return Err(LoginError::WrongPassword);
        };
        self.account_failures.succeeded(&account);
        match verified {
            Verified::YesRehashed(hash) => Ok(self.renew(found, hash).await),
            Verified::Yes | Verified::No => Ok(found),
        }
    }

    /// Fails if there were too many failures before.
    fn may_try(&self, account: &String, address: Option<IpAddr>) -> Result<(), LoginError> {
        let now = Instant::now();
        let of_address = address.map(|address| self.address_failures.wait(&address, now));
        let of_address = of_address.unwrap_or_default();
        let of_account = self.account_failures.wait(account, now);
        match of_account.max(of_address) {
            Duration::ZERO => return Ok(()),
            wait if wait == of_account => self.throttled.account_failures.inc(),
            _ => self.throttled.address_failures.inc(),
        };
        Err(LoginError::TooManyFailures(of_account.max(of_address)))
    }

    /// Logs that an account cannot log in, once and not with each attempt.
    fn warn_of_unusable(&self, account: &Credentials) {
        if account.password.scheme() == PasswordScheme::Unusable
            && self.unusable.get(&account.id).is_none()
        {
            self.unusable.insert(account.id, ());
            tracing::warn!(
                user.id = account.id.get(),
                "the stored password hash cannot be checked: its kind is unknown, or it costs \
                 too much to check"
            );
        }
    }

    /// Replaces an old hash. The login does not depend on it.
    async fn renew(&self, mut account: Credentials, hash: PasswordHash) -> Credentials {
        match self.users.renew_password(account.id, &account.password, &hash).await {
            Ok(true) => {
                tracing::info!("replaced the hash of a password");
                account.password = hash;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot replace the hash of a password"),
        }
        account
    }
}

impl From<Busy> for LoginError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<TaskError> for LoginError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::TooMany => Self::Busy,
            TaskError::Panicked => Self::Panicked,
        }
    }
}

impl From<StorageError> for LoginError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<SessionError> for LoginError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
