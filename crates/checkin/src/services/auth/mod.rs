//! The authentication service: who logs in gets a session, who logs out loses it.

mod account;
mod login;
mod sessions;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use tower_express_session::{Accounts, Session, SessionRejection};

use crate::http::{ClientAddress, FailureThrottle};
use crate::passwords::Passwords;
use crate::storage::UserRepository;

/// So many wrong passwords for one account are free; each further one makes the next wait longer.
const FREE_ACCOUNT_FAILURES: u32 = 5;

/// The same for one address, behind which there may be a whole office.
const FREE_ADDRESS_FAILURES: u32 = 100;

/// How the service is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// `--max-sessions`: so many sessions an account may have at once. Default: any number.
    pub max_sessions: Option<usize>,
}

/// What the service needs.
#[derive(Clone)]
struct Auth {
    users: Arc<dyn UserRepository>,
    /// Each account's sessions: other ones than the request's are ended here.
    account_sessions: Accounts,
    passwords: Passwords,
    // Per account, so that nobody's password can be guessed from many addresses; per address, so
    // that nobody can try one password on many accounts.
    account_failures: FailureThrottle<String>,
    address_failures: FailureThrottle<ClientAddress>,
}

/// The routes of the service.
pub fn router(
    users: Arc<dyn UserRepository>,
    account_sessions: Accounts,
    passwords: Passwords,
) -> Router {
    let auth = Auth {
        users,
        account_sessions,
        passwords,
        account_failures: FailureThrottle::new(FREE_ACCOUNT_FAILURES),
        address_failures: FailureThrottle::new(FREE_ADDRESS_FAILURES),
    };
    Router::new()
        .route("/login", post(login::login))
        .route("/logout", get(login::logout).post(login::logout))
        .route("/session", get(account::show))
        .route("/register", post(account::register))
        .route("/password", post(account::change_password))
        .route("/sessions", get(sessions::list).delete(sessions::end_others))
        .route("/sessions/{handle}", delete(sessions::end))
        .with_state(auth)
}

type SessionResult = Result<Session, SessionRejection>;

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}
