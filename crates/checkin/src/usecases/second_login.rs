//! The second half of a login to an account with a second factor. Between the halves, no session knows of the
//! login: it is a pending step, whose token only the client has.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tower_express_session::{Error as SessionError, Session};

use super::login::{Login, LoginError};
use super::second_factors::PENDING;
use crate::domain::UserId;
use crate::second_factor::{Proof, SecondFactor};
use crate::storage::{Credentials, PendingName};

/// The kind of these pending steps.
const KIND: &str = "login";

/// A login whose password was right.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PendingLogin {
    user: u64,
    /// The account's epoch at that time.
    epoch: u64,
}

impl Login {
    /// Lets an account without a second factor pass. For any other one, it keeps the login.
    ///
    /// # Errors
    ///
    /// [`LoginError::SecondFactorRequired`] with the token of the pending login.
    pub(super) async fn without_second_factor(
        &self,
        account: Credentials,
    ) -> Result<Credentials, LoginError> {
        match self.factors.of(account.id).await? {
            None => Ok(account),
            Some(factor) => Err(self.pend(&account, &factor).await?),
        }
    }

    async fn pend(
        &self,
        account: &Credentials,
        factor: &SecondFactor,
    ) -> Result<LoginError, LoginError> {
        let login = PendingLogin { user: account.id.get(), epoch: account.standing.epoch };
        let token = self.factors.keep_for(KIND, &login, PENDING).await?;
        Ok(self.factors.demand_of(factor, Some(token)))
    }

    /// Continues the pending login of this token: verifies the proof, gives the session a new id, and logs
    /// it in. Returns the cookie by which the device will be recognized.
    ///
    /// # Errors
    ///
    /// [`LoginError::WrongSecondFactor`] or [`LoginError::WrongPasskey`] if the proof is wrong, or if there is
    /// no such pending login any more.
    ///
    /// # Cancel safety
    ///
    /// The proof is verified and used up in any case; the session may not be logged in.
    pub(crate) async fn log_in_with(
        &self,
        session: Result<Session, SessionError>,
        token: String,
        proof: Proof,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, LoginError> {
        self.in_failure_time(async {
            let check = self.clone().check_second_factor(token.clone(), proof, address);
            let (account, name) = self.tasks.run(check).await?;
            let session = session?;
            // The sessions of all accounts may have been ended before this one was stored.
            if self.enter(&session, &account, address).await?
                && self.factors.name(KIND, &token).await? == name
            {
                return Ok(self.device_cookie(&account.email, account.standing.epoch));
            }
            // The sessions of the account were ended meanwhile, and the pending login with them.
            session.log_out().await?;
            Err(LoginError::WrongSecondFactor)
        })
        .await
    }

    /// Returns the account of a pending login whose second factor is right, and the name of the login. The pending
    /// login ends with it, or with its last attempt.
    async fn check_second_factor(
        self,
        token: String,
        proof: Proof,
        address: Option<IpAddr>,
    ) -> Result<(Credentials, PendingName), LoginError> {
        let (name, account) = self.pending(&token).await?;
        let Some(guess) = self.factors.guesses.take_pending(&name).await? else {
            self.factors.take(&name).await?;
            return Err(LoginError::WrongSecondFactor);
        };
        match self.factors.verify(&account, &proof, address).await {
            Ok(()) => {}
            Err(wrong @ (LoginError::WrongSecondFactor | LoginError::WrongPasskey)) => {
                return Err(wrong);
            }
            Err(error) => {
                self.factors.guesses.give_back(guess).await;
                return Err(error);
            }
        }
        // One login for each pending one.
        let is_first = self.factors.take(&name).await?;
        if is_first { Ok((account, name)) } else { Err(LoginError::WrongSecondFactor) }
    }

    /// Returns the pending login of this token, and its account.
    pub(super) async fn pending(
        &self,
        token: &str,
    ) -> Result<(PendingName, Credentials), LoginError> {
        let name = self.factors.name(KIND, token).await?;
        let login = self.factors.kept::<PendingLogin>(&name).await?;
        let login = login.ok_or(LoginError::WrongSecondFactor)?;
        let user = UserId::try_from(login.user).map_err(|_| LoginError::WrongSecondFactor)?;
        let account = self.users.credentials(user).await?;
        // A new password, or an end of the sessions, ends pending logins, too.
        let account = account.filter(|account| account.standing.epoch == login.epoch);
        Ok((name, account.ok_or(LoginError::WrongSecondFactor)?))
    }
}
