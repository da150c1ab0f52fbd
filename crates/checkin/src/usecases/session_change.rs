//! A change of an account that one of its sessions asks for. Something else may end the session meanwhile, and a
//! session that has ended changes nothing.

use std::net::IpAddr;

use tower_express_session::{ErrorKind, Session};

use super::accounts::{AccountError, account_of, email_of};
use super::guesses::Caller;
use super::login::{Login, LoginError};
use crate::second_factor::Proof;
use crate::storage::{Admitted, Budget, Credentials};

/// The origin of a change: a logged-in session, and the network of the request.
#[derive(Clone)]
pub(crate) struct Requester {
    pub(crate) session: Session,
    /// The account, as it was read when it admitted the session.
    pub(crate) account: Credentials,
    pub(crate) address: Option<IpAddr>,
}

/// What the owner gives again before a change.
pub(crate) struct Confirmation {
    pub(crate) current: String,
    /// The proof of the second factor, if the account has one.
    pub(crate) proof: Option<Proof>,
}

impl Requester {
    /// Returns what the store compares in the step that makes the change, so that an end of the account's sessions
    /// before this step is respected. The end of this session alone is in no account, so it is looked for here:
    /// call this last.
    ///
    /// # Errors
    ///
    /// [`LoginError::NotLoggedIn`] if the session has ended, or belongs to another account now; errors of the store.
    pub(super) async fn admitted(&self) -> Result<Admitted, LoginError> {
        match self.session.reload().await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Gone => {
                drop(self.session.log_out().await);
                return Err(LoginError::NotLoggedIn);
            }
            Err(error) => return Err(error.into()),
        }
        // An Express service may have given the session to another account.
        if !email_of(&self.session)?.is_of_same_account(&self.account.email) {
            return Err(LoginError::NotLoggedIn);
        }
        Ok(Admitted {
            epoch: self.account.standing.epoch,
            handle: Some(self.session.id().handle()),
        })
    }

    /// Returns the budget from which an attempt to give the password is taken.
    pub(super) fn caller(&self) -> Caller {
        let own = Some(Budget::of_session(self.session.id().as_str()));
        Caller { address: self.address, own }
    }
}

impl Login {
    /// Verifies the password of the session's account, and its second factor if it has one.
    pub(super) async fn confirm(
        self,
        requester: &Requester,
        Confirmation { current, proof }: Confirmation,
    ) -> Result<(), LoginError> {
        let email = requester.account.email.clone();
        let (place, caller) = (self.passwords.queue()?, requester.caller());
        let account = self.clone().check_password(place, email, current, caller).await?;
        self.factors.demand(&account, proof.as_ref(), requester.address).await
    }

    /// Makes a change that a session asked for. If what it gave for it is wrong, this takes the time of a
    /// [failed login](Self::in_failure_time). Something else may have ended the session meanwhile, such as a logout
    /// or a change of the password. Then the response tells nothing about what this request gave.
    ///
    /// # Errors
    ///
    /// Those of the change, and [`LoginError::NotLoggedIn`] if the session has ended.
    ///
    /// # Cancel safety
    ///
    /// As that of the change.
    pub(super) async fn in_session<T>(
        &self,
        requester: &Requester,
        change: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let result = self.in_failure_time(change).await;
        self.unless_ended(requester, result).await
    }

    /// Returns the result of a change that a session asked for, unless the result tells something about what the
    /// session gave, has begun or has tried, and the session has ended meanwhile.
    ///
    /// # Errors
    ///
    /// As [`in_session`](Self::in_session).
    pub(super) async fn unless_ended<T>(
        &self,
        requester: &Requester,
        result: Result<T, LoginError>,
    ) -> Result<T, LoginError> {
        if let Err(
            LoginError::WrongPassword(_)
            | LoginError::TooManyFailures(_)
            | LoginError::SecondFactorRequired(_)
            | LoginError::WrongSecondFactor
            | LoginError::NotBegun
            | LoginError::WrongPasskey
            | LoginError::NoPasskey
            | LoginError::NewPassword(_),
        ) = result
        {
            requester.admitted().await?;
            account_of(&requester.session, &*self.users).await?;
        }
        result
    }
}

impl From<AccountError> for LoginError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotLoggedIn => Self::NotLoggedIn,
            AccountError::Storage(error) => Self::Storage(error),
            AccountError::Session(error) => Self::Session(error),
        }
    }
}
