//! Passkeys: their owner adds and removes them, and each challenge is answered once.

use std::time::SystemTime;

use webauthn_rs::prelude::{
    CreationChallengeResponse, RegisterPublicKeyCredential, RequestChallengeResponse,
};

use super::enrolment::{Enrolment, Made, Record, pending_name};
use super::login::{Login, LoginError};
use super::password_reset::PasswordReset;
use super::second_factors::{Factors, PENDING};
use super::session_change::{Confirmation, Requester};
use crate::domain::UserId;
use crate::second_factor::{
    Answer, Challenge, MAX_PASSKEYS, Method, PendingChallenge, PendingPasskey, SecondFactor, Wrong,
};
use crate::storage::{EventKind, PendingName};

/// The kind of the pending steps in which a passkey is made.
const NEW: &str = "new passkey";

impl Enrolment {
    /// Makes a challenge for a new passkey of the session's account, in place of an earlier one of this
    /// session.
    ///
    /// # Errors
    ///
    /// [`LoginError::TooManyPasskeys`].
    ///
    /// # Cancel safety
    ///
    /// The password and the second factor are verified in any case.
    pub(crate) async fn begin_passkey(
        &self,
        requester: Requester,
        confirmation: Confirmation,
    ) -> Result<CreationChallengeResponse, LoginError> {
        let site = self.factors.site()?;
        self.confirm(&requester, confirmation).await?;
        let account = &requester.account;
        let factor = self.factors.of(account.id).await?.unwrap_or_default();
        if factor.passkeys().len() >= MAX_PASSKEYS {
            return Err(LoginError::TooManyPasskeys);
        }
        let begun = PendingPasskey::begin(site, (account.id, &account.email), &factor);
        let (options, pending) = begun.ok_or(LoginError::Busy)?;
        self.factors.keep(&pending_name(NEW, &requester), &pending, PENDING).await?;
        Ok(options)
    }

    /// Adds the passkey that answers the challenge of this session. The challenge is used up.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongPasskey`] if the answer is not one to the challenge, or if it has expired.
    ///
    /// # Cancel safety
    ///
    /// The change continues.
    pub(crate) async fn confirm_passkey(
        &self,
        requester: Requester,
        name: String,
        answer: &RegisterPublicKeyCredential,
    ) -> Result<Made, LoginError> {
        let made = self.confirm_answer(requester.clone(), name, answer).await;
        self.login.unless_ended(&requester, made).await
    }

    async fn confirm_answer(
        &self,
        requester: Requester,
        name: String,
        answer: &RegisterPublicKeyCredential,
    ) -> Result<Made, LoginError> {
        let site = self.factors.site()?;
        let pending = pending_name(NEW, &requester);
        let pending = self.factors.taken::<PendingPasskey>(&pending).await?;
        let key = pending.and_then(|it| it.finish(site, requester.account.id, answer));
        let key = key.ok_or(LoginError::WrongPasskey)?;
        let add = move |factor: Option<&SecondFactor>| {
            let factor = factor.cloned().unwrap_or_default();
            factor.with_passkey(name.clone(), key.clone(), SystemTime::now())
        };
        let record = Record { kind: EventKind::SecondFactorAdded, detail: "passkey" };
        self.make(requester, add, record).await.map_err(of_passkey)
    }

    /// Removes a passkey. With the last one of an account without an authenticator app, the second factor is
    /// off.
    ///
    /// # Errors
    ///
    /// [`LoginError::NoPasskey`] if it is not there.
    ///
    /// # Cancel safety
    ///
    /// The password and the second factor are verified in any case. A change that has begun continues.
    pub(crate) async fn remove_passkey(
        &self,
        requester: Requester,
        handle: String,
        confirmation: Confirmation,
    ) -> Result<Made, LoginError> {
        let factor = self.factors.of(requester.account.id).await?;
        if factor.and_then(|factor| factor.without_passkey(&handle)).is_none() {
            return self.login.unless_ended(&requester, Err(LoginError::NoPasskey)).await;
        }
        self.confirm(&requester, confirmation).await?;
        let remove = move |factor: Option<&SecondFactor>| factor?.without_passkey(&handle);
        let record = Record { kind: EventKind::SecondFactorRemoved, detail: "passkey" };
        self.make(requester, remove, record).await.map_err(of_passkey)
    }
}

impl Login {
    /// Makes a challenge for the passkeys of the account whose login is pending, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongSecondFactor`] if there is no such pending login any more.
    ///
    /// # Cancel safety
    ///
    /// The challenge may have been replaced.
    pub(crate) async fn challenge(
        &self,
        token: &str,
    ) -> Result<RequestChallengeResponse, LoginError> {
        let (_, account) = self.pending(token).await?;
        self.factors.challenge(account.id, &Challenge::of_login(token)).await
    }
}

impl PasswordReset {
    /// Makes a challenge for the passkeys of the account whose password may be reset with this token, in
    /// place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongToken`].
    ///
    /// # Cancel safety
    ///
    /// The challenge may have been replaced.
    pub(crate) async fn challenge(
        &self,
        token: &str,
    ) -> Result<RequestChallengeResponse, LoginError> {
        let (_, account) = self.pending(token).await?;
        self.login.factors.challenge(account.id, &Challenge::of_reset(token)).await
    }
}

impl Factors {
    /// Makes a challenge for the passkeys of an account, in place of an earlier one of the same purpose and
    /// holder.
    ///
    /// # Errors
    ///
    /// [`LoginError::NoPasskey`] if the account has none.
    ///
    /// # Cancel safety
    ///
    /// The challenge may have been replaced.
    pub(crate) async fn challenge(
        &self,
        user: UserId,
        challenge: &Challenge,
    ) -> Result<RequestChallengeResponse, LoginError> {
        let site = self.site()?;
        let factor = self.of(user).await?.unwrap_or_default();
        if factor.passkeys().is_empty() {
            return Err(LoginError::NoPasskey);
        }
        let begun = PendingChallenge::begin(site, user, &factor).ok_or(LoginError::Busy)?;
        let (options, pending) = begun;
        self.keep(&name(challenge), &pending, PENDING).await?;
        Ok(options)
    }

    /// Verifies the answer of a passkey, and stores that it was used. The challenge is used up, whether the
    /// answer is right or not.
    pub(super) async fn answered(
        &self,
        user: UserId,
        Answer { challenge, credential }: &Answer,
    ) -> Result<Result<Method, Wrong>, LoginError> {
        let pending = self.taken::<PendingChallenge>(&name(challenge)).await?;
        let (Some(pending), Ok(site)) = (pending, self.site()) else {
            return Ok(Err(Wrong::Passkey));
        };
        let answer = match pending.finish(site, user, credential) {
            Ok(answer) => answer,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let mut used = Err(Wrong::Passkey);
        let change = |factor: Option<&SecondFactor>| {
            let after = factor?.after_answer(&answer, SystemTime::now());
            used = after.as_ref().map(|_| Method::Passkey).map_err(|wrong| *wrong);
            after.ok()
        };
        self.spend(user, change).await?;
        Ok(used)
    }
}

fn name(Challenge { purpose, holder }: &Challenge) -> PendingName {
    PendingName::new(purpose, holder)
}

/// Returns the error of a change of a passkey that the second factor does not allow any more.
fn of_passkey(error: LoginError) -> LoginError {
    match error {
        LoginError::WrongSecondFactor => LoginError::WrongPasskey,
        other => other,
    }
}
