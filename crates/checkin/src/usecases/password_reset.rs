//! Resets a forgotten password with a token that was sent to the address of the account.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::login::{Login, LoginError};
use super::revocation::Revocation;
use super::security_log::SecurityLog;
use super::tasks::Tasks;
use crate::domain::{Email, UserId};
use crate::mail::Mailer;
use crate::passwords::{Owner, PasswordPolicy, Passwords, QueuePlace};
use crate::second_factor::Proof;
use crate::storage::{
    Admitted, Attempt, Attempts, Budget, Credentials, EventKind, PendingName, Users,
};

/// The kind of these pending steps.
const KIND: &str = "password reset";

/// How long a token is valid.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// Resets passwords.
#[derive(Clone)]
pub(crate) struct PasswordReset {
    pub(crate) mailer: Mailer,
    pub(crate) login: Login,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) attempts: Arc<dyn Attempts>,
    pub(crate) revocation: Revocation,
    pub(crate) passwords: Passwords,
    pub(crate) policy: PasswordPolicy,
    pub(crate) security: SecurityLog,
    pub(crate) tasks: Tasks,
}

/// A new password, and what shows that its sender may set it.
#[derive(Debug)]
pub(crate) struct Reset {
    pub(crate) token: String,
    pub(crate) new: String,
    /// The proof of the second factor, if the account has one.
    pub(crate) proof: Option<Proof>,
}

/// What a token is for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingReset {
    user: u64,
    /// The account's epoch at that time.
    epoch: u64,
}

impl PasswordReset {
    /// Sends a token to the address, if it is that of an active account. Everything that depends on the
    /// account happens in a task, so neither the result nor its time tells whether there is one. `address` is
    /// the network that the request came from.
    ///
    /// # Errors
    ///
    /// [`LoginError::Busy`] if too many tasks run.
    pub(crate) fn ask(&self, email: Email, address: Option<IpAddr>) -> Result<(), LoginError> {
        let this = self.clone();
        self.tasks.spawn(async move {
            match this.send(email, address).await {
                Ok(()) => {}
                // The store logs an outage itself.
                Err(LoginError::Storage(error)) if error.is_logged() => {}
                Err(error) => {
                    tracing::warn!(?error, "cannot prepare a message to reset a password");
                }
            }
        })?;
        Ok(())
    }

    async fn send(&self, email: Email, address: Option<IpAddr>) -> Result<(), LoginError> {
        let account = self.users.credentials_by_email(&email).await?;
        let Some(account) = account.filter(|account| account.standing.is_active()) else {
            return Ok(());
        };
        let Some(_place) = self.mailer.place() else { return Ok(()) };
        let budget = Budget::of_reset_messages(&account.email);
        let Attempt::Taken(_) = self.attempts.take_attempt(&budget).await? else { return Ok(()) };
        let reset = PendingReset { user: account.id.get(), epoch: account.standing.epoch };
        let token = self.login.factors.keep_for(KIND, &reset, LIFE).await?;
        let link = self.mailer.link(&["password", "reset"], &token);
        // To the address of the account, which may be written in another way than the given one.
        if let Err(error) = self.mailer.send(&account.email, SUBJECT, &text(&link)).await {
            tracing::warn!(%error, "cannot send a message to reset a password");
            return Ok(());
        }
        self.security.record(EventKind::PasswordResetSent, Some(account.id), address, None).await;
        Ok(())
    }

    /// Replaces the password of the token's account and ends all of its sessions. The token is used up.
    /// `address` is the network that the request came from.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongToken`] if the token is wrong, used or over, or if the account was changed since.
    /// [`LoginError::NewPassword`] if the new password breaks a rule. [`LoginError::SecondFactorRequired`] and
    /// [`LoginError::WrongSecondFactor`] if the account has a second factor. The token can be used again after
    /// each of these three.
    ///
    /// # Cancel safety
    ///
    /// The reset continues.
    pub(crate) async fn reset(
        &self,
        reset: Reset,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let place = self.passwords.queue()?;
        self.tasks.run(self.clone().replace(place, reset, address)).await
    }

    async fn replace(
        self,
        place: QueuePlace,
        Reset { token, new, proof }: Reset,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let factors = &self.login.factors;
        let (_, account) = self.pending(&token).await?;
        let Credentials { id, email, standing, .. } = &account;
        let name = self.users.name(*id).await?;
        let (first_name, last_name) =
            name.as_ref().map_or(("", ""), |name| (name.first.as_str(), name.last.as_str()));
        let checked = self.policy.check(&new, Owner { first_name, last_name, email });
        checked.map_err(LoginError::NewPassword)?;
        // Before a code is verified, because a code is right once.
        let new = place.turn().await?.hash(new).await?;
        factors.demand(&account, proof.as_ref(), address).await?;
        // The steps of all accounts may have been ended meanwhile: then the step has another name.
        if !factors.take(&factors.name(KIND, &token).await?).await? {
            return Err(LoginError::WrongToken);
        }
        // An account that was disabled, or whose sessions were ended meanwhile, stays as it is.
        let by = Admitted { epoch: standing.epoch, handle: None };
        let change = self.users.change_password(*id, Some(&by), &new);
        let raised = self.revocation.end(email, None, change).await?;
        raised.ok_or(LoginError::WrongToken)?;
        let detail = Some("reset".to_owned());
        self.security.record(EventKind::PasswordChanged, Some(*id), address, detail).await;
        // The owner must not have to wait because of what others tried before.
        self.attempts.forget_attempts(&Budget::of_account(email)).await?;
        Ok(())
    }

    /// Returns the step of this token, and its account if nothing has ended its sessions since.
    pub(super) async fn pending(
        &self,
        token: &str,
    ) -> Result<(PendingName, Credentials), LoginError> {
        let name = self.login.factors.name(KIND, token).await?;
        let pending = self.login.factors.kept::<PendingReset>(&name).await?;
        let pending = pending.ok_or(LoginError::WrongToken)?;
        let user = UserId::try_from(pending.user).map_err(|_| LoginError::WrongToken)?;
        let account =
            self.users.credentials(user).await?.filter(|Credentials { standing, .. }| {
                standing.is_active() && standing.epoch == pending.epoch
            });
        Ok((name, account.ok_or(LoginError::WrongToken)?))
    }
}

const SUBJECT: &str = "Reset your password";

fn text(link: &str) -> String {
    format!(
        "Somebody asked to reset the password of your account. If it was you, choose a new one within an \
         hour:\n\n{link}\n\nThe link works once. If it was not you, ignore this message: your password stays \
         as it is.\n"
    )
}
