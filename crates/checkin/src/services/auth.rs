//! The authentication service: who logs in gets a session, who logs out loses it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tower_express_session::{Session, SessionRejection};

use super::identity::{USER, email_of};
use crate::domain::{Email, LocationId, PasswordHash, User};
use crate::http::{ApiError, ClientAddress, FailureThrottle, Fields};
use crate::passwords::{self, Passwords, Verified};
use crate::storage::{NewUser, Registered, UserRepository};

/// The fewest characters of a new password, as OWASP asks for.
const MIN_PASSWORD_CHARS: usize = 8;

/// What the service needs.
#[derive(Clone)]
pub struct Auth {
    users: Arc<dyn UserRepository>,
    passwords: Passwords,
    // Per account, so that nobody's password can be guessed from many addresses; per address, so
    // that nobody can try one password on many accounts.
    account_failures: FailureThrottle<String>,
    address_failures: FailureThrottle<ClientAddress>,
}

/// The routes of the service.
pub fn router(users: Arc<dyn UserRepository>, passwords: Passwords) -> Router {
    let auth = Auth {
        users,
        passwords,
        account_failures: FailureThrottle::new(),
        address_failures: FailureThrottle::new(),
    };
    Router::new()
        .route("/login", post(login))
        .route("/logout", get(logout).post(logout))
        .route("/session", get(session))
        .route("/register", post(register))
        .with_state(auth)
}

type SessionResult = Result<Session, SessionRejection>;

async fn login(
    State(auth): State<Auth>,
    Extension(address): Extension<ClientAddress>,
    session: SessionResult,
    fields: Fields,
) -> Result<&'static str, ApiError> {
    let login = Login::parse(fields)?;
    let email = auth.check(login, address).await?;
    let session = session?;
    // A fresh id: one that was planted in the browser before the login is worth nothing.
    session.regenerate().await?;
    session.insert(USER, email.as_str())?;
    Ok("OK")
}

async fn logout(headers: HeaderMap, session: SessionResult) -> Result<&'static str, ApiError> {
    // The cross-site guard looks at unsafe methods; this is the one GET that changes something.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(ApiError::CrossSite);
    }
    session?.destroy().await?;
    Ok("OK")
}

async fn session(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<Account>, ApiError> {
    let email = email_of(&session?)?;
    let user = auth.users.user_by_email(&email).await?.ok_or(ApiError::AuthenticationRequired)?;
    Ok(Json(Account { user: user.into() }))
}

async fn register(State(auth): State<Auth>, fields: Fields) -> Result<impl IntoResponse, ApiError> {
    let new = NewAccount::parse(fields)?;
    let password = auth.passwords.hash(new.password).await?;
    let (first_name, last_name, email) = (new.first_name, new.last_name, new.email);
    match auth.users.register(NewUser { first_name, last_name, email, password }).await? {
        Registered::Opened(user) => Ok((StatusCode::CREATED, Json(Account { user: user.into() }))),
        Registered::EmailTaken => Err(ApiError::EmailTaken),
    }
}

impl Auth {
    /// The account's address as it is stored, if the password is right.
    async fn check(&self, login: Login, address: ClientAddress) -> Result<Email, ApiError> {
        let account = login.email.canonical();
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
        let user = self.users.user_by_email(&login.email).await?;
        let stored = user.as_ref().map(|user| user.password.clone());
        let verified = self.passwords.verify(login.password, stored).await?;
        let (Some(user), Verified::Yes | Verified::YesRehashed(_)) = (user, &verified) else {
            self.account_failures.failed(&account, Instant::now());
            self.address_failures.failed(&address, Instant::now());
            return Err(ApiError::InvalidLogin);
        };
        self.account_failures.succeeded(&account);
        if let Verified::YesRehashed(hash) = verified {
            self.renew(&user, &hash).await;
        }
        Ok(user.email)
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
        let password = fields.parse("password", password, |text| match text.len() {
            0 => Err("is not empty"),
            1..=passwords::MAX_BYTES => Ok(text),
            _ => Err("is too long"),
        });
        fields.finish()?;
        let (Some(email), Some(password)) = (email, password) else {
            return Err(ApiError::Internal);
        };
        Ok(Self { email, password })
    }
}

struct NewAccount {
    first_name: String,
    last_name: String,
    email: Email,
    password: String,
}

impl NewAccount {
    fn parse(mut fields: Fields) -> Result<Self, ApiError> {
        let mut name = |field| {
            let text = fields.text(field);
            fields.parse(field, text, |text| {
                let max = crate::domain::text::MAX_NAME_CHARS;
                crate::domain::text::check_line(&text, max).map(|()| text)
            })
        };
        let (first_name, last_name) = (name("firstName"), name("lastName"));
        let email = fields.text("email");
        let email = fields.parse("email", email, |text| text.parse::<Email>());
        let password = fields.text("password");
        let password = fields.parse("password", password, new_password);
        fields.finish()?;
        let (Some(first_name), Some(last_name), Some(email), Some(password)) =
            (first_name, last_name, email, password)
        else {
            return Err(ApiError::Internal);
        };
        Ok(Self { first_name, last_name, email, password })
    }
}

fn new_password(text: String) -> Result<String, String> {
    if text.chars().count() < MIN_PASSWORD_CHARS {
        return Err(format!("has {MIN_PASSWORD_CHARS} characters or more"));
    }
    if text.len() > passwords::MAX_BYTES {
        return Err(format!("has {} bytes at most", passwords::MAX_BYTES));
    }
    Ok(text)
}

#[derive(Serialize)]
struct Account {
    user: PublicUser,
}

/// What an account's owner gets to see: these fields, and never the password.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicUser {
    id: u64,
    first_name: String,
    last_name: String,
    email: String,
    num_checkins: u64,
    last_checkin: Option<u64>,
    last_seen_at: Option<u64>,
}

impl From<User> for PublicUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id.get(),
            first_name: user.first_name,
            last_name: user.last_name,
            email: user.email.as_str().to_owned(),
            num_checkins: user.num_checkins,
            last_checkin: user.last_checkin,
            last_seen_at: user.last_seen_at.map(LocationId::get),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}
