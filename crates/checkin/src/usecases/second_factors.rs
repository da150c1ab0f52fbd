//! Verifies second factors and changes them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::guesses::Guesses;
use super::login::LoginError;
use super::security_log::SecurityLog;
use crate::domain::UserId;
use crate::second_factor::{Code, Method, Proof, RelyingParty, SecondFactor, Wrong};
use crate::storage::{
    Credentials, EventKind, PendingName, PendingSteps, SecondFactors, StorageError,
};

/// How long a pending login, the secret of a new authenticator app, and a challenge for a passkey is kept.
pub(crate) const PENDING: Duration = Duration::from_secs(5 * 60);

/// The number of random bytes of a token, as of a session id.
const TOKEN_BYTES: usize = 24;

/// How long the mark is kept that ended the pending steps of all accounts: longer than the program runs
/// anywhere, because an older step would be found again without it.
const ENDED: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// The maximum number of attempts to change a second factor that others change at the same time.
pub(super) const ATTEMPTS: usize = 5;

/// The second factors of accounts, and the steps that wait for the next request; clones share the store.
#[derive(Clone)]
pub(crate) struct Factors {
    pub(super) store: Arc<dyn SecondFactors>,
    pending: Arc<dyn PendingSteps>,
    pub(super) guesses: Guesses,
    security: SecurityLog,
    /// `None` if there are no passkeys.
    site: Option<RelyingParty>,
}

/// What an account with a second factor has to give beside the password.
#[derive(Debug)]
pub(crate) struct Demand {
    /// The token with which the login continues, if it is one.
    pub(crate) pending_login: Option<String>,
    pub(crate) methods: Vec<Method>,
}

/// A second factor before and after a change, as it is stored.
pub(super) struct Changed {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Factors {
    pub(crate) fn new(
        store: Arc<dyn SecondFactors>,
        pending: Arc<dyn PendingSteps>,
        guesses: Guesses,
        security: SecurityLog,
        site: Option<RelyingParty>,
    ) -> Self {
        Self { store, pending, guesses, security, site }
    }

    /// Returns the site that passkeys belong to.
    ///
    /// # Errors
    ///
    /// [`LoginError::PasskeysOff`].
    pub(crate) fn site(&self) -> Result<&RelyingParty, LoginError> {
        self.site.as_ref().ok_or(LoginError::PasskeysOff)
    }

    /// Returns what an account with this second factor has to give. The token is that of a pending login.
    pub(super) fn demand_of(
        &self,
        factor: &SecondFactor,
        pending_login: Option<String>,
    ) -> LoginError {
        let mut methods = factor.methods();
        methods.retain(|method| *method != Method::Passkey || self.site.is_some());
        LoginError::SecondFactorRequired(Box::new(Demand { pending_login, methods }))
    }

    /// Returns the second factor of an account.
    pub(crate) async fn of(&self, user: UserId) -> Result<Option<SecondFactor>, StorageError> {
        let stored = self.store.second_factor(user).await?;
        stored.map(|stored| read(user, &stored)).transpose()
    }

    /// Verifies the proof if the account has a second factor, and uses it up. `address` is the network that
    /// the request came from.
    ///
    /// # Errors
    ///
    /// [`LoginError::SecondFactorRequired`] if there is no proof, and otherwise as
    /// [`verify`](Self::verify).
    pub(super) async fn demand(
        &self,
        account: &Credentials,
        proof: Option<&Proof>,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        match (self.of(account.id).await?, proof) {
            (None, _) => Ok(()),
            (Some(_), Some(proof)) => self.verify(account, proof, address).await,
            (Some(factor), None) => Err(self.demand_of(&factor, None)),
        }
    }

    /// Verifies a proof and uses it up. The attempt to give a code of an authenticator app is counted before
    /// the code is compared; nobody can guess a proof of another kind.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongSecondFactor`] or [`LoginError::WrongPasskey`] if it is wrong, or was used before.
    pub(super) async fn verify(
        &self,
        account: &Credentials,
        proof: &Proof,
        address: Option<IpAddr>,
    ) -> Result<(), LoginError> {
        let guess = match proof {
            Proof::Code(Code::Totp(_)) => Some(self.guesses.take_code(&account.email).await?),
            Proof::Code(Code::Recovery(_)) | Proof::Passkey(_) => None,
        };
        let id = Some(account.id);
        let method = match self.use_up(account.id, proof).await {
            Ok(Ok(method)) => method,
            Ok(Err(wrong)) => {
                let detail = match wrong {
                    Wrong::Code => None,
                    Wrong::Passkey => Some("passkey".to_owned()),
                    Wrong::Counter => Some("passkey counter".to_owned()),
                };
                self.security.record(EventKind::FailedSecondFactor, id, address, detail).await;
                return Err(wrong.into());
            }
            Err(error) => {
                if let Some(guess) = guess {
                    self.guesses.give_back(guess).await;
                }
                return Err(error);
            }
        };
        self.guesses.forget_codes(&account.email).await?;
        if method == Method::Recovery {
            self.security.record(EventKind::RecoveryCodeUsed, id, address, None).await;
        }
        Ok(())
    }

    /// Stores that the proof is used, and returns its kind, or why it is wrong.
    async fn use_up(
        &self,
        user: UserId,
        proof: &Proof,
    ) -> Result<Result<Method, Wrong>, LoginError> {
        let code = match proof {
            Proof::Code(code) => code,
            Proof::Passkey(answer) => return self.answered(user, answer).await,
        };
        let mut used = Err(Wrong::Code);
        let change = |factor: Option<&SecondFactor>| {
            let after = factor.and_then(|factor| factor.after(code, SystemTime::now()));
            used = after.as_ref().map(|(_, method)| *method).ok_or(Wrong::Code);
            after.map(|(after, _)| after)
        };
        self.spend(user, change).await?;
        Ok(used)
    }

    /// Uses up a part of the second factor of an account: replaces it by what `change` returns for it, until nobody
    /// else changes it at the same time. Returns false if `change` returns `None`.
    ///
    /// # Errors
    ///
    /// [`LoginError::Busy`] if others change it all the time, or the account is gone.
    pub(super) async fn spend(
        &self,
        user: UserId,
        mut change: impl FnMut(Option<&SecondFactor>) -> Option<SecondFactor> + Send,
    ) -> Result<bool, LoginError> {
        for _ in 0..ATTEMPTS {
            let Some(changed) = self.changed(user, &mut change).await? else { return Ok(false) };
            let (before, after) = (changed.before.as_deref(), changed.after.as_deref());
            if self.store.replace_second_factor(user, before, after).await? {
                return Ok(true);
            }
        }
        Err(LoginError::Busy)
    }

    /// Returns the stored second factor of an account, and what `change` makes of it, unless that is `None`.
    pub(super) async fn changed(
        &self,
        user: UserId,
        change: &mut (impl FnMut(Option<&SecondFactor>) -> Option<SecondFactor> + Send),
    ) -> Result<Option<Changed>, StorageError> {
        let before = self.store.second_factor(user).await?;
        let factor = before.as_ref().map(|stored| read(user, stored)).transpose()?;
        let after = change(factor.as_ref());
        Ok(after.map(|after| Changed { before, after: after.stored() }))
    }

    /// Returns the name of the step of this kind that the owner of the secret may continue. It is another one
    /// since the steps of all accounts were [ended](end_pending).
    pub(crate) async fn name(&self, kind: &str, secret: &str) -> Result<PendingName, StorageError> {
        Ok(match self.pending.pending(&mark()).await? {
            Some(mark) => PendingName::new(&format!("{kind} {mark}"), secret),
            None => PendingName::new(kind, secret),
        })
    }

    /// Keeps a step for the next request.
    pub(crate) async fn keep<T: Serialize>(
        &self,
        name: &PendingName,
        step: &T,
        life: Duration,
    ) -> Result<(), StorageError> {
        let step = serde_json::to_string(step).map_err(StorageError::new)?;
        self.pending.keep_pending(name, &step, life).await
    }

    /// Keeps a step under a new token, with which its owner continues. Returns the token: 192 random bits,
    /// of which the store has a hash only.
    pub(crate) async fn keep_for<T: Serialize>(
        &self,
        kind: &str,
        step: &T,
        life: Duration,
    ) -> Result<String, StorageError> {
        let token = token()?;
        self.keep(&self.name(kind, &token).await?, step, life).await?;
        Ok(token)
    }

    /// Returns a step that is still kept.
    pub(crate) async fn kept<T: DeserializeOwned>(
        &self,
        name: &PendingName,
    ) -> Result<Option<T>, StorageError> {
        // A step of another version counts as one that has expired.
        let step = self.pending.pending(name).await?;
        Ok(step.and_then(|step| serde_json::from_str(&step).ok()))
    }

    /// Removes a step and returns it. Returns `None` if it is not kept, or if another request has removed it.
    pub(crate) async fn taken<T: DeserializeOwned>(
        &self,
        name: &PendingName,
    ) -> Result<Option<T>, StorageError> {
        let step = self.pending.take_pending(name).await?;
        Ok(step.and_then(|step| serde_json::from_str(&step).ok()))
    }

    /// Removes a step. Returns false if it is not kept, or if another request has removed it.
    pub(crate) async fn take(&self, name: &PendingName) -> Result<bool, StorageError> {
        Ok(self.pending.take_pending(name).await?.is_some())
    }
}

/// Ends the pending steps of all accounts, such as logins that wait for their second factor: nobody finds them
/// any more. A login that found its step before is refused, because the name of its step has changed.
pub(crate) async fn end_pending(pending: &dyn PendingSteps) -> Result<(), StorageError> {
    pending.keep_pending(&mark(), &token()?, ENDED).await
}

/// Returns the name under which the mark is kept that is part of all other names.
fn mark() -> PendingName {
    PendingName::new("mark", "")
}

fn token() -> Result<String, StorageError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(StorageError::new)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn read(user: UserId, stored: &str) -> Result<SecondFactor, StorageError> {
    SecondFactor::read(stored).map_err(|rule| {
        StorageError::unreadable(format!("the second factor of user {user} {rule}"))
    })
}

impl From<Wrong> for LoginError {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Code => Self::WrongSecondFactor,
            Wrong::Passkey | Wrong::Counter => Self::WrongPasskey,
        }
    }
}

impl fmt::Debug for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factors").finish_non_exhaustive()
    }
}
