//! Logging in and out.

use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::header::ALLOW;
use axum::response::IntoResponse;

use super::document::LoginBody;
use super::{Auth, SessionResult};
use crate::domain::{Email, PasswordHash, PasswordScheme};
use crate::http::document::{BodyProblems, Forbidden, LoginNeeded, Problems, TooOften};
use crate::http::{ApiError, ClientAddress, Deliberate, Fields};
use crate::passwords::{self, Verified};
use crate::storage::Account;

/// Logs in: sets the session cookie, always under a fresh id.
#[utoipa::path(
    post, operation_id = "logIn", path = "/login", tag = "account", security(()),
    request_body = LoginBody,
    responses(
        (
            status = 200, content_type = "text/plain", body = String, description = "`OK`",
            headers(("Set-Cookie" = String, description = "The session cookie")),
        ),
        LoginNeeded, Forbidden, TooOften, BodyProblems, Problems,
    ),
)]
pub(super) async fn login(
    State(auth): State<Auth>,
    Extension(address): Extension<Option<ClientAddress>>,
    session: SessionResult,
    fields: Fields,
) -> Result<&'static str, ApiError> {
    let Login { email, password } = Login::parse(fields)?;
    let check = auth.clone().check_password(email, password, address);
    let Account { id, email, epoch, .. } = auth.tasks.run(check).await?;
    let session = session?;
    session.log_in_at_epoch(email.as_str(), &[], epoch).await?;
    // What changes the password ends every session that is stored then. This one may be stored later.
    session.save().await?;
    if auth.users.epoch(id).await? > epoch {
        session.log_out().await?;
        return Err(ApiError::InvalidLogin);
    }
    Ok("OK")
}

/// Logs out: destroys the session and clears the cookie, also when there was none.
///
/// A browser that is ahead of its user (`Sec-Purpose: prefetch`) is refused.
#[utoipa::path(
    get, operation_id = "logOut", path = "/logout", tag = "account", security(()),
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        Forbidden, Problems,
    ),
)]
pub(super) async fn logout(
    // This is the one GET that changes something.
    _deliberate: Deliberate,
    session: SessionResult,
) -> Result<&'static str, ApiError> {
    end(session).await
}

/// Logs out, as a GET does.
#[utoipa::path(
    post, operation_id = "logOutByPost", path = "/logout", tag = "account", security(()),
    responses(
        (status = 200, content_type = "text/plain", body = String, description = "`OK`"),
        Forbidden, Problems,
    ),
)]
pub(super) async fn logout_by_post(session: SessionResult) -> Result<&'static str, ApiError> {
    end(session).await
}

async fn end(session: SessionResult) -> Result<&'static str, ApiError> {
    session?.log_out().await?;
    Ok("OK")
}

/// A HEAD request must change nothing, and is a GET to the router unless it is told otherwise.
pub(super) async fn logout_by_another_method() -> impl IntoResponse {
    ([(ALLOW, "GET, POST")], ApiError::MethodNotAllowed)
}

impl Auth {
    /// The account, if the password is right. Counts whether it is. To be run in a task, so that a
    /// client that hangs up is counted too.
    pub(super) async fn check_password(
        self,
        email: Email,
        password: String,
        address: Option<ClientAddress>,
    ) -> Result<Account, ApiError> {
        let account = email.canonical();
        self.may_try(&account, address)?;
        let turn = self.passwords.turn().await?;
        // Of those that waited for their turn, others may have failed meanwhile.
        self.may_try(&account, address)?;
        let found = self.users.account_by_email(&email).await?;
        if let Some(found) = &found {
            self.warn_of_unusable(found);
        }
        let stored = found.as_ref().map(|found| found.password.clone());
        let verified = turn.verify(password, stored).await?;
        let (Some(found), Verified::Yes | Verified::YesRehashed(_)) = (found, &verified) else {
            self.account_failures.failed(&account, Instant::now());
            if let Some(address) = address {
                self.address_failures.failed(&address, Instant::now());
            }
            return Err(ApiError::InvalidLogin);
        };
        self.account_failures.succeeded(&account);
        match verified {
            Verified::YesRehashed(hash) => Ok(self.renew(found, hash).await),
            Verified::Yes | Verified::No => Ok(found),
        }
    }

    /// Whether there were not too many failures before.
    fn may_try(&self, account: &String, address: Option<ClientAddress>) -> Result<(), ApiError> {
        let now = Instant::now();
        let of_address = address.map(|address| self.address_failures.wait(&address, now));
        match self.account_failures.wait(account, now).max(of_address.unwrap_or_default()) {
            Duration::ZERO => Ok(()),
            wait => Err(ApiError::TooMany(wait)),
        }
    }

    /// Logs that an account cannot log in, once and not with each attempt.
    fn warn_of_unusable(&self, account: &Account) {
        if account.password.scheme() == PasswordScheme::Unusable
            && self.unusable.get(&account.id).is_none()
        {
            self.unusable.insert(account.id, ());
            tracing::warn!(
                user.id = account.id.get(),
                "no password fits what is stored as the hash of one: it is of a kind that is not \
                 known, or costs too much to check"
            );
        }
    }

    /// Replaces an old hash. The login does not depend on it.
    async fn renew(&self, mut account: Account, hash: PasswordHash) -> Account {
        match self.users.renew_password(account.id, &account.password, &hash).await {
            Ok(true) => {
                tracing::info!("renewed the hash of a password");
                account.password = hash;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot renew the hash of a password"),
        }
        account
    }
}

struct Login {
    email: Email,
    password: String,
}

impl Login {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
        let email = fields.text("email");
        let email = fields.parse("email", email, |text| Email::known(&text));
        let password = fields.text("password");
        let password = fields.parse("password", password, passwords::plausible);
        fields.finish()?;
        let (Some(email), Some(password)) = (email, password) else {
            return Err(ApiError::Internal);
        };
        Ok(Self { email, password })
    }
}
