//! Logging in and out.

use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::HeaderMap;

use super::{Auth, SessionResult};
use crate::domain::{Email, PasswordHash, User};
use crate::http::{ApiError, ClientAddress, Fields, is_cross_site};
use crate::passwords::{self, Verified};
use crate::services::identity::USER;

pub(super) async fn login(
    State(auth): State<Auth>,
    Extension(address): Extension<ClientAddress>,
    session: SessionResult,
    fields: Fields,
) -> Result<&'static str, ApiError> {
    let login = Login::parse(fields)?;
    let user = auth.check_password(&login.email, login.password, address).await?;
    let session = session?;
    // A fresh id: one that was planted in the browser before the login is worth nothing.
    session.regenerate().await?;
    session.insert(USER, user.email.as_str())?;
    Ok("OK")
}

pub(super) async fn logout(
    headers: HeaderMap,
    session: SessionResult,
) -> Result<&'static str, ApiError> {
    // The cross-site guard looks at unsafe methods; this is the one GET that changes something.
    if is_cross_site(&headers) {
        return Err(ApiError::CrossSite);
    }
    session?.destroy().await?;
    Ok("OK")
}

impl Auth {
    /// The account, if the password is right.
    pub(super) async fn check_password(
        &self,
        email: &Email,
        password: String,
        address: ClientAddress,
    ) -> Result<User, ApiError> {
        let account = email.canonical();
        let wait = |now| {
            Duration::max(
                self.account_failures.wait(&account, now),
                self.address_failures.wait(&address, now),
            )
        };
        let wait = wait(Instant::now());
        if !wait.is_zero() {
            return Err(ApiError::TooMany(wait));
        }
        let user = self.users.user_by_email(email).await?;
        let stored = user.as_ref().map(|user| user.password.clone());
        let verified = self.passwords.verify(password, stored).await?;
        let (Some(user), Verified::Yes | Verified::YesRehashed(_)) = (user, &verified) else {
            self.account_failures.failed(&account, Instant::now());
            self.address_failures.failed(&address, Instant::now());
            return Err(ApiError::InvalidLogin);
        };
        self.account_failures.succeeded(&account);
        if let Verified::YesRehashed(hash) = verified {
            self.renew(&user, &hash).await;
        }
        Ok(user)
    }

    /// Replaces an old hash. The login does not depend on it.
    async fn renew(&self, user: &User, hash: &PasswordHash) {
        match self.users.change_password(user.id, &user.password, hash).await {
            Ok(_) => tracing::info!("renewed the hash of a password"),
            Err(error) => tracing::warn!(%error, "cannot renew the hash of a password"),
        }
    }
}

struct Login {
    email: Email,
    password: String,
}

impl Login {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
        let email = fields.text("email");
        let email = fields.parse("email", email, |text| text.parse::<Email>());
        let password = fields.text("password");
        let password = fields.parse("password", password, passwords::plausible);
        fields.finish()?;
        let (Some(email), Some(password)) = (email, password) else {
            return Err(ApiError::Internal);
        };
        Ok(Self { email, password })
    }
}
