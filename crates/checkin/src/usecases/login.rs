//! Logs in with an address and a password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use tokio::time::sleep_until;
use tower_express_session::{Error as SessionError, Session};

use super::devices::Devices;
use super::guesses::{Caller, GuessError, Guesses};
use super::second_factors::{Demand, Factors};
use super::security_log::SecurityLog;
use super::tasks::{TaskError, Tasks};
use super::throttle::Quota;
use crate::domain::{Email, PasswordHash, PasswordScheme, UserId};
use crate::passwords::{Busy, HashPermit, Passwords, QueuePlace, Verified};
use crate::storage::{Budget, Credentials, EventKind, StorageError, Users};
use crate::telemetry::chain;

/// The maximum number of attempts to log in while the sessions of the account are being ended.
const ATTEMPTS: usize = 3;

/// The maximum number of accounts whose warning about an unusable password is remembered.
const MAX_UNUSABLE: usize = 10_000;

/// Checks passwords and logs sessions in; clones share the limits.
#[derive(Clone)]
pub(crate) struct Login {
    pub(super) users: Arc<dyn Users>,
    pub(super) passwords: Passwords,
    pub(super) tasks: Tasks,
    guesses: Guesses,
    devices: Devices,
    pub(super) factors: Factors,
    failure_time: Duration,
    security: SecurityLog,
    /// Accounts with a password that no login can check, for which a warning was logged.
    unusable: Arc<Cache<UserId, ()>>,
}

/// Where a login comes from.
#[derive(Clone, Debug)]
pub(crate) struct LoginOrigin {
    /// The network, if it is known.
    pub(crate) address: Option<IpAddr>,
    /// The cookie of the device, if it sent one.
    pub(crate) device: Option<String>,
}

/// Why a login failed.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The password is wrong, or there is no such account. The quota tells how many more may be
    /// tried, if this one was counted.
    WrongPassword(Option<Quota>),
    /// The password is right, and the account has a second factor.
    SecondFactorRequired(Box<Demand>),
    /// The second factor is wrong, or the pending login is over.
    WrongSecondFactor,
    /// No second factor is being set up in this session.
    NotBegun,
    /// The answer of a passkey is wrong, or the challenge is over.
    WrongPasskey,
    /// The account has no passkey, or not this one.
    NoPasskey,
    /// The account has as many passkeys as it may have.
    TooManyPasskeys,
    /// The service has no site that passkeys belong to.
    PasskeysOff,
    /// The account has no second factor that could be changed.
    NoSecondFactor,
    /// The token of a message is wrong, used or over.
    WrongToken,
    /// The session has ended meanwhile.
    NotLoggedIn,
    /// The new password breaks this rule.
    NewPassword(String),
    /// Too many passwords were wrong before.
    TooManyFailures(Quota),
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
    /// Creates the use case. A wrong password is reported no sooner than `failure_time` after the
    /// attempt began.
    pub(crate) fn new(
        users: Arc<dyn Users>,
        passwords: Passwords,
        tasks: Tasks,
        (devices, factors): (Devices, Factors),
        failure_time: Duration,
        security: SecurityLog,
    ) -> Self {
        Self {
            users,
            passwords,
            tasks,
            guesses: factors.guesses.clone(),
            devices,
            factors,
            failure_time,
            security,
            unusable: Arc::new(Cache::new(MAX_UNUSABLE)),
        }
    }

    /// Checks the password, gives the session a new id, and logs it in, unless the account has a second
    /// factor. Returns the cookie by which the device will be recognized. A failure of the password is
    /// reported before a failure of the session.
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
        origin: LoginOrigin,
    ) -> Result<Option<String>, LoginError> {
        self.in_failure_time(self.attempt(session, email, password, origin)).await
    }

    async fn attempt(
        &self,
        session: Result<Session, SessionError>,
        email: Email,
        password: String,
        origin: LoginOrigin,
    ) -> Result<Option<String>, LoginError> {
        let address = origin.address;
        let check = async || {
            let place = self.passwords.queue()?;
            let (email, password) = (email.clone(), password.clone());
            self.tasks.run(self.clone().check_login(place, email, password, origin.clone())).await
        };
        let mut account = check().await?;
        let session = session?;
        for _ in 0..ATTEMPTS {
            if self.enter(&session, &account, address).await? {
                return Ok(self.device_cookie(&account.email, account.standing.epoch));
            }
            // The password may be another one, or only the sessions were ended.
            account = match check().await {
                Ok(account) => account,
                Err(error) => {
                    leave(&session).await;
                    return Err(error);
                }
            };
        }
        leave(&session).await;
        Err(LoginError::Busy)
    }

    /// Gives the session a new id and logs it in. Returns false if the account's epoch was raised
    /// meanwhile: the session has no effect then.
    pub(super) async fn enter(
        &self,
        session: &Session,
        Credentials { id, email, standing, .. }: &Credentials,
        address: Option<IpAddr>,
    ) -> Result<bool, LoginError> {
        session.log_in_at_epoch(email.as_str(), &[], standing.epoch).await?;
        session.save().await?;
        // Raising the epoch ends every session that is stored at that time. This session may be stored
        // later.
        let current = match self.users.standing(*id).await {
            Ok(current) => current,
            Err(error) => {
                leave(session).await;
                return Err(error.into());
            }
        };
        let is_valid = current.epoch == standing.epoch;
        if is_valid {
            self.security.record(EventKind::Login, Some(*id), address, None).await;
        }
        Ok(is_valid)
    }

    /// Makes each wrong password and each wrong second factor take the same time, whatever it costs to
    /// compare: the kind of an account's hash, and whether there is an account or a pending login, cannot
    /// be told from the time. The time is counted from here, where the request is complete: a client could
    /// choose it otherwise.
    ///
    /// The wait holds no permit and no task. It needs no limit of its own: a password waits here only after
    /// its hash was computed, so no more wait than are computed in that time, and a code waits within the
    /// limits for the requests of a client.
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
        if let Err(
            LoginError::WrongPassword(_) | LoginError::WrongSecondFactor | LoginError::WrongPasskey,
        ) = result
        {
            sleep_until(end).await;
        }
        result
    }

    /// Returns the cookie of a device that has just proved that it knows the password.
    pub(super) fn device_cookie(&self, account: &Email, epoch: u64) -> Option<String> {
        self.devices.cookie(account, epoch, SystemTime::now())
    }

    async fn check_login(
        self,
        place: QueuePlace,
        email: Email,
        password: String,
        LoginOrigin { address, device }: LoginOrigin,
    ) -> Result<Credentials, LoginError> {
        let own = match device {
            Some(device) => self.budget_of_device(&device, &email).await?,
            None => None,
        };
        let caller = Caller { address, own };
        let account = self.clone().check_password(place, email, password, caller).await?;
        self.without_second_factor(account).await
    }

    /// Returns the budget of a device that has logged in to this account since its epoch was raised.
    async fn budget_of_device(
        &self,
        cookie: &str,
        email: &Email,
    ) -> Result<Option<Budget>, LoginError> {
        let device = self.devices.recognize(cookie, email, SystemTime::now());
        // The store is asked only for a signed cookie: for all others the answer takes the same time,
        // whether there is such an account or not.
        let Some(device) = device else { return Ok(None) };
        let account = self.users.credentials_by_email(email).await?;
        Ok(account
            .filter(|account| account.standing.epoch == device.epoch)
            .map(|_| device.budget()))
    }

    /// Returns the account if the password is right. The attempt is counted before the password is
    /// compared, so that attempts at the same time are not compared more often than allowed. Run it in
    /// a task, so that an attempt that was no failure is given back even when the client hangs up.
    pub(super) async fn check_password(
        self,
        place: QueuePlace,
        email: Email,
        password: String,
        caller: Caller,
    ) -> Result<Credentials, LoginError> {
        // Only as many attempts are open at a time as passwords are compared, so that several right
        // passwords for one account at the same time are not refused.
        let turn = place.turn().await?;
        let address = caller.address;
        let guess = self.guesses.take(&email, caller).await?;
        match self.compare(turn, &email, password, address).await {
            Ok(Some(account)) => {
                self.guesses.was_right(&guess).await?;
                Ok(account)
            }
            Ok(None) => Err(LoginError::WrongPassword(Some(guess.quota()))),
            Err(error) => {
                self.guesses.give_back(guess).await;
                Err(error)
            }
        }
    }

    async fn compare(
        &self,
        turn: HashPermit,
        email: &Email,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<Option<Credentials>, LoginError> {
        let found = self.users.credentials_by_email(email).await?;
        if let Some(found) = &found {
            self.warn_of_unusable(found);
        }
        // An account that is not active is like no account.
        let active = found.as_ref().filter(|found| found.standing.is_active());
        let stored = active.map(|active| active.password.clone());
        let id = found.as_ref().map(|found| found.id);
        match (turn.verify(password, stored).await?, found) {
            (Verified::YesRehashed(hash), Some(found)) => Ok(Some(self.renew(found, hash).await)),
            (Verified::Yes, Some(found)) => Ok(Some(found)),
            (Verified::No, _) | (_, None) => {
                self.security.record(EventKind::FailedLogin, id, address, None).await;
                Ok(None)
            }
        }
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
            // The store logs an outage itself.
            Err(error) if error.is_logged() => {}
            Err(error) => {
                tracing::warn!(cause = %chain(&error), "cannot replace the hash of a password");
            }
        }
        account
    }
}

/// Logs a session out again that must not be logged in. If the store does not end it, the browser gets no
/// cookie of it.
async fn leave(session: &Session) {
    if session.log_out().await.is_err() {
        session.raw().unset();
    }
}

impl From<GuessError> for LoginError {
    fn from(error: GuessError) -> Self {
        match error {
            GuessError::TooMany(quota) => Self::TooManyFailures(quota),
            GuessError::Storage(error) => Self::Storage(error),
        }
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
