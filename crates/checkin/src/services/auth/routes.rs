//! The routes of the service.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::head;
use tower_express_session::AccountSessions;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Auth;
use super::{account, login, sessions};
use crate::metrics::Throttled;
use crate::passwords::{PasswordPolicy, Passwords};
use crate::storage::Users;
use crate::usecases::accounts::Accounts;
use crate::usecases::login::Login;
use crate::usecases::password_change::PasswordChange;
use crate::usecases::registration::Registration;
use crate::usecases::security_log::SecurityLog;
use crate::usecases::tasks::Tasks;

/// The settings of the service.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthSettings {
    /// `--max-sessions`: the maximum number of sessions of an account. `None` means unlimited.
    pub max_sessions: Option<usize>,
    /// `--failed-login-time`: the minimum time of a login with a wrong password.
    pub failed_login_time: Duration,
    /// `--min-password-length`: the rules for new passwords.
    pub passwords: PasswordPolicy,
}

/// Returns the routes of the service, which counts what it refuses in `throttled` and
/// records what happens to accounts in `security`. Work that must not end with its request runs in `tasks`.
pub fn router(
    users: Arc<dyn Users>,
    account_sessions: AccountSessions,
    passwords: Passwords,
    tasks: Tasks,
    throttled: Throttled,
    settings: AuthSettings,
    security: SecurityLog,
) -> OpenApiRouter {
    let login = Login::new(
        users.clone(),
        passwords.clone(),
        tasks.clone(),
        throttled,
        settings.failed_login_time,
        security.clone(),
    );
    let auth = Auth {
        registration: Registration::new(
            users.clone(),
            passwords.clone(),
            settings.passwords,
            security.clone(),
            tasks.clone(),
        ),
        password_change: PasswordChange::new(
            login.clone(),
            users.clone(),
            account_sessions.clone(),
            passwords,
            settings.passwords,
            security.clone(),
            tasks,
        ),
        accounts: Accounts::new(users.clone()),
        users,
        account_sessions,
        login,
        security,
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
