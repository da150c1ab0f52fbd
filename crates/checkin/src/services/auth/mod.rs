//! The authentication service: who logs in gets a session, who logs out loses it.

mod account;
mod document;
mod login;
mod sessions;

use std::fmt;
use std::sync::Arc;

use axum::routing::head;
use quick_cache::sync::Cache;
use tower_express_session::{AccountSessions, Error, Session};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::UserId;
use crate::http::{ClientAddress, FailureThrottle, Tasks};
use crate::passwords::Passwords;
use crate::storage::UserRepository;

/// So many wrong passwords for one account are free; each further one makes the next wait longer.
const FREE_ACCOUNT_FAILURES: u32 = 5;

/// The same for one address, behind which there may be a whole office.
const FREE_ADDRESS_FAILURES: u32 = 100;

/// Of so many accounts the service remembers that it has warned of their passwords.
const MAX_UNUSABLE: usize = 10_000;

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
    account_sessions: AccountSessions,
    passwords: Passwords,
    tasks: Tasks,
    // Per account, so that nobody's password can be guessed from many addresses; per address, so
    // that nobody can try one password on many accounts.
    account_failures: FailureThrottle<String>,
    address_failures: FailureThrottle<ClientAddress>,
    /// Accounts with a password that no login can check, of which the log knows.
    unusable: Arc<Cache<UserId, ()>>,
}

/// The routes of the service. What must not end with its request runs in `tasks`.
pub fn router(
    users: Arc<dyn UserRepository>,
    account_sessions: AccountSessions,
    passwords: Passwords,
    tasks: Tasks,
) -> OpenApiRouter {
    let auth = Auth {
        users,
        account_sessions,
        passwords,
        tasks,
        account_failures: FailureThrottle::new(FREE_ACCOUNT_FAILURES),
        address_failures: FailureThrottle::new(FREE_ADDRESS_FAILURES),
        unusable: Arc::new(Cache::new(MAX_UNUSABLE)),
    };
    let no_other_logout =
        head(login::logout_by_another_method).fallback(login::logout_by_another_method);
    OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(login::logout, login::logout_by_post))
        .route("/logout", no_other_logout)
        .routes(routes!(account::show))
        .routes(routes!(account::register))
        .routes(routes!(account::change_password))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .with_state(auth)
}

type SessionResult = Result<Session, Error>;

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}
