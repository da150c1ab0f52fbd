//! Turns second factors of an account on and off. Each change ends the account's other sessions, and needs the
//! password and the second factor that is on.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::login::{Login, LoginError};
use super::revocation::{Raised, Revocation};
use super::second_factors::{ATTEMPTS, Factors, PENDING};
use super::security_log::SecurityLog;
use super::session_change::{Confirmation, Requester};
use super::tasks::Tasks;
use crate::second_factor::{SecondFactor, TotpSecret};
use crate::storage::{EventKind, PendingName, Users};

/// The kind of the pending steps in which an authenticator app is set up.
const TOTP: &str = "totp";

/// Changes second factors.
#[derive(Clone)]
pub(crate) struct Enrolment {
    pub(crate) factors: Factors,
    pub(super) login: Login,
    users: Arc<dyn Users>,
    revocation: Revocation,
    security: SecurityLog,
    tasks: Tasks,
}

/// The secret of an authenticator app that is not on yet.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingTotp {
    user: u64,
    secret: TotpSecret,
}

/// What is stored about a change.
pub(super) struct Record {
    pub(super) kind: EventKind,
    pub(super) detail: &'static str,
}

/// A change that was made.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The recovery codes that came with it, which nobody can read again.
    pub(crate) recovery_codes: Vec<String>,
    /// The cookie by which the device will be recognized.
    pub(crate) device: Option<String>,
}

impl Enrolment {
    pub(crate) fn new(
        (login, factors): (Login, Factors),
        users: Arc<dyn Users>,
        revocation: Revocation,
        security: SecurityLog,
        tasks: Tasks,
    ) -> Self {
        Self { factors, login, users, revocation, security, tasks }
    }

    /// Makes the secret of an authenticator app, which is on after [`confirm_totp`](Self::confirm_totp).
    ///
    /// # Cancel safety
    ///
    /// The password and the second factor are verified in any case.
    pub(crate) async fn begin_totp(
        &self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<TotpSecret, LoginError> {
        self.confirm(&requester, confirmation).await?;
        let secret = TotpSecret::random().ok_or(LoginError::Busy)?;
        let pending = PendingTotp { user: requester.account.id.get(), secret: secret.clone() };
        self.factors.keep(&pending_name(TOTP, &requester), &pending, PENDING).await?;
        Ok(secret)
    }

    /// Turns the authenticator app on whose secret this session has asked for, in place of the one before.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongSecondFactor`] if the code is not one of it, and [`LoginError::NotBegun`] if there is no secret,
    /// or if it has expired.
    ///
    /// # Cancel safety
    ///
    /// The change continues.
    pub(crate) async fn confirm_totp(
        &self,
        requester: Requester,
        code: String,
    ) -> Result<Made, LoginError> {
        let made = self.confirm_code(requester.clone(), code).await;
        self.login.unless_ended(&requester, made).await
    }

    async fn confirm_code(&self, requester: Requester, code: String) -> Result<Made, LoginError> {
        let name = pending_name(TOTP, &requester);
        let pending = self.factors.kept::<PendingTotp>(&name).await?;
        let pending = pending.filter(|pending| pending.user == requester.account.id.get());
        let secret = pending.ok_or(LoginError::NotBegun)?.secret;
        let add = move |factor: Option<&SecondFactor>| {
            let factor = factor.cloned().unwrap_or_default();
            factor.with_totp(secret.clone(), &code, SystemTime::now())
        };
        let record = Record { kind: EventKind::SecondFactorAdded, detail: "totp" };
        let made = self.make(requester, add, record).await?;
        self.factors.take(&name).await?;
        Ok(made)
    }

    /// Replaces the recovery codes of an account. Without a second factor, this is
    /// [`LoginError::NoSecondFactor`].
    ///
    /// # Cancel safety
    ///
    /// The password and the second factor are verified in any case. A change that has begun continues.
    pub(crate) async fn renew_recovery_codes(
        &self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<Made, LoginError> {
        self.confirm_change(&requester, confirmation).await?;
        // Without codes, new ones are made.
        let forget = |factor: Option<&SecondFactor>| Some(factor?.without_recovery_codes());
        let record = Record { kind: EventKind::RecoveryCodesReplaced, detail: "" };
        self.make(requester, forget, record).await
    }

    /// Turns the second factor of an account off. Without one, this is [`LoginError::NoSecondFactor`].
    ///
    /// # Cancel safety
    ///
    /// The password and the second factor are verified in any case. A change that has begun continues.
    pub(crate) async fn remove(
        &self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<Made, LoginError> {
        self.confirm_change(&requester, confirmation).await?;
        let remove = |factor: Option<&SecondFactor>| factor.map(|_| SecondFactor::default());
        let record = Record { kind: EventKind::SecondFactorRemoved, detail: "all" };
        self.make(requester, remove, record).await
    }

    /// Verifies the password of the session's account, and its second factor if it has one.
    pub(super) async fn confirm(
        &self,
        requester: &Requester,
        confirmation: Confirmation,
    ) -> Result<(), LoginError> {
        let (login, caller) = (self.login.clone(), requester.clone());
        let check = self.tasks.run(async move {
            login.confirm(&caller, confirmation).await?;
            caller.admitted().await
        });
        self.login.in_session(requester, check).await.map(drop)
    }

    /// Verifies the same for a change of a second factor, which must be on.
    async fn confirm_change(
        &self,
        requester: &Requester,
        confirmation: Confirmation,
    ) -> Result<(), LoginError> {
        self.confirm(requester, confirmation).await?;
        let factor = self.factors.of(requester.account.id).await?;
        factor.map(drop).ok_or(LoginError::NoSecondFactor)
    }

    /// Makes a change in a task of its own.
    pub(super) async fn make(
        &self,
        requester: Requester,
        change: impl FnMut(Option<&SecondFactor>) -> Option<SecondFactor> + Send + 'static,
        record: Record,
    ) -> Result<Made, LoginError> {
        self.tasks.run(self.clone().change(requester, change, record)).await
    }

    async fn change(
        self,
        requester: Requester,
        mut change: impl FnMut(Option<&SecondFactor>) -> Option<SecondFactor> + Send,
        record: Record,
    ) -> Result<Made, LoginError> {
        let mut recovery_codes = Vec::new();
        let with_codes = |factor: Option<&SecondFactor>| {
            let after = change(factor)?;
            let (after, codes) = after.with_recovery_codes()?;
            recovery_codes = codes;
            Some(after)
        };
        let Raised { epoch, .. } = self.store(&requester, with_codes).await?;
        let Requester { account, address, .. } = requester;
        let detail = Some(record.detail.to_owned()).filter(|detail| !detail.is_empty());
        self.security.record(record.kind, Some(account.id), address, detail).await;
        Ok(Made { recovery_codes, device: self.login.device_cookie(&account.email, epoch) })
    }

    /// Replaces the second factor of the account by what `change` returns for it, and ends its other sessions and its
    /// pending logins. A session that has ended meanwhile changes nothing: its owner may have ended it because it
    /// is in other hands.
    async fn store(
        &self,
        requester: &Requester,
        mut change: impl FnMut(Option<&SecondFactor>) -> Option<SecondFactor> + Send,
    ) -> Result<Raised, LoginError> {
        let (id, email) = (requester.account.id, &requester.account.email);
        let by = requester.admitted().await?;
        for _ in 0..ATTEMPTS {
            let changed = self.factors.changed(id, &mut change).await?;
            let changed = changed.ok_or(LoginError::WrongSecondFactor)?;
            // The session stays when it changes the account, but what was confirmed for another request of it does not.
            // Read after the factor, so that a change in between is noticed.
            if self.users.standing(id).await?.epoch != by.epoch {
                return Err(LoginError::Busy);
            }
            let (before, after) = (changed.before.as_deref(), changed.after.as_deref());
            let raise = self.factors.store.change_second_factor(id, &by, before, after);
            let kept = requester.session.id();
            if let Some(raised) = self.revocation.end(email, Some(&kept), raise).await? {
                return Ok(raised);
            }
            if !self.users.standing(id).await?.still_admits(&by) {
                return Err(LoginError::NotLoggedIn);
            }
        }
        Err(LoginError::Busy)
    }
}

/// Returns the name of the step that this session may continue. It contains the epoch of the account, which every
/// change that ends sessions raises: what was begun before such a change is not found after it.
pub(super) fn pending_name(
    kind: &str,
    Requester { session, account, .. }: &Requester,
) -> PendingName {
    PendingName::new(&format!("{kind} {}", account.standing.epoch), session.id().as_str())
}
