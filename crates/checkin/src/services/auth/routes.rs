//! The routes of the service.

use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use axum::routing::head;
use tokio::sync::Mutex;
use tower_express_session::{AccountSessions, Secrets};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::settings as account_settings;
use super::state::Auth;
use super::{account, login, operator, passkeys, password_reset, second_factor, sessions};
use crate::http::{RequestLimit, limited};
use crate::mail::{MailSettings, Mailer, PublicUrl};
use crate::metrics::Throttled;
use crate::passwords::{PasswordPolicy, Passwords};
use crate::second_factor::RelyingParty;
use crate::storage::{Attempts, PendingSteps, Privacy, SecondFactors, Users};
use crate::usecases::account_deletion::AccountDeletion;
use crate::usecases::accounts::Accounts;
use crate::usecases::administration::Administration;
use crate::usecases::confirmation::Confirmation;
use crate::usecases::devices::Devices;
use crate::usecases::enrolment::Enrolment;
use crate::usecases::guesses::Guesses;
use crate::usecases::login::Login;
use crate::usecases::password_change::PasswordChange;
use crate::usecases::password_reset::PasswordReset;
use crate::usecases::registration::Registration;
use crate::usecases::revocation::Revocation;
use crate::usecases::second_factors::{Factors, PENDING};
use crate::usecases::security_log::SecurityLog;
use crate::usecases::tasks::Tasks;

/// The settings of the service.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// `--max-sessions`: the maximum number of sessions of an account. `None` means unlimited.
    pub max_sessions: Option<usize>,
    /// `--failed-login-time`: the minimum time of a login with a wrong password.
    pub failed_login_time: Duration,
    /// `--min-password-length`: the rules for new passwords.
    pub passwords: PasswordPolicy,
    /// `--request-rate`: the maximum number of requests per second of a session, or of a network without
    /// one, with bursts of ten times as many. 0 means unlimited.
    pub request_rate: u32,
    /// `--register-rate`: the maximum number of registrations, and as many requests for a message about a
    /// forgotten password, per hour from a network. 0 means unlimited.
    pub register_rate: u32,
    /// `--newcomer-time`: how long an account is new. 0 means that none is.
    pub newcomer_time: Duration,
    /// `--mail-url` or `--mail-command`: how messages are sent. `None` if they are not.
    pub mail: Option<MailSettings>,
    /// `--public-url`: the site that passkeys belong to. `None` if there are none.
    pub public_url: Option<PublicUrl>,
}

/// The parts of the store, and of the process, that the service uses.
#[expect(missing_debug_implementations, reason = "a store has nothing to show")]
pub struct Parts {
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// What accounts choose about their privacy.
    pub privacy: Arc<dyn Privacy>,
    /// The attempts to give a password.
    pub attempts: Arc<dyn Attempts>,
    /// The second factors of the accounts.
    pub second_factors: Arc<dyn SecondFactors>,
    /// The steps that wait for the next request of a client.
    pub pending_steps: Arc<dyn PendingSteps>,
    /// Lists the sessions of an account, and ends one.
    pub account_sessions: AccountSessions,
    /// Ends the other sessions of an account.
    pub revocation: Revocation,
    /// The secrets that sign the cookies of devices.
    pub secrets: Secrets,
    /// Compares and hashes passwords.
    pub passwords: Passwords,
    /// Runs work that must not end with its request.
    pub tasks: Tasks,
    /// Counts what is refused.
    pub throttled: Throttled,
    /// Records what happens to accounts.
    pub security: SecurityLog,
}

/// Returns the routes of the service.
pub fn router(parts: Parts, settings: AuthSettings) -> OpenApiRouter {
    let Parts { users, privacy, attempts, account_sessions, revocation, secrets, .. } = parts;
    let Parts { passwords, tasks, throttled, security, .. } = parts;
    let Parts { second_factors, pending_steps, .. } = parts;
    let requests = RequestLimit::of_sessions(
        "requests",
        settings.request_rate,
        throttled.request_rate.clone(),
    );
    let registrations = RequestLimit::of_networks(
        "registrations",
        settings.register_rate,
        throttled.registrations.clone(),
    );
    let resets = RequestLimit::of_networks(
        "password-resets",
        settings.register_rate,
        throttled.registrations.clone(),
    );
    let guesses = Guesses::new(attempts.clone(), throttled);
    let site = settings.public_url.and_then(|url| site_of(&url));
    let factors = Factors::new(second_factors, pending_steps, guesses, security.clone(), site);
    let login = Login::new(
        users.clone(),
        passwords.clone(),
        tasks.clone(),
        (Devices::new(secrets), factors.clone()),
        settings.failed_login_time,
        security.clone(),
    );
    let mailer = settings.mail.map(Mailer::new);
    let auth = Auth {
        registration: Registration::new(
            users.clone(),
            (privacy.clone(), settings.newcomer_time),
            passwords.clone(),
            settings.passwords,
            security.clone(),
            tasks.clone(),
            mailer.clone().map(|mailer| Confirmation {
                mailer,
                pending: factors.clone(),
                users: users.clone(),
                attempts: attempts.clone(),
            }),
        ),
        password_reset: mailer.map(|mailer| {
            Arc::new(PasswordReset {
                mailer,
                login: login.clone(),
                users: users.clone(),
                attempts,
                revocation: revocation.clone(),
                passwords: passwords.clone(),
                policy: settings.passwords,
                security: security.clone(),
                tasks: tasks.clone(),
            })
        }),
        password_change: PasswordChange::new(
            login.clone(),
            users.clone(),
            revocation.clone(),
            passwords,
            settings.passwords,
            security.clone(),
            tasks.clone(),
        ),
        account_deletion: AccountDeletion::new(
            login.clone(),
            users.clone(),
            revocation.clone(),
            security.clone(),
            tasks.clone(),
        ),
        administration: Administration::new(
            users.clone(),
            account_sessions.clone(),
            revocation.clone(),
            security.clone().of_operators(),
        ),
        enrolment: Enrolment::new(
            (login.clone(), factors),
            users.clone(),
            revocation.clone(),
            security.clone(),
            tasks,
        ),
        accounts: Accounts::new(users.clone(), Duration::ZERO),
        users,
        privacy,
        account_sessions,
        session_search: Mutex::default(),
        revocation,
        login,
        security,
    };
    let no_other_logout =
        head(login::logout_by_another_method).fallback(login::logout_by_another_method);
    let changes = OpenApiRouter::new()
        .routes(routes!(login::login))
        .routes(routes!(login::with_second_factor))
        .routes(routes!(login::logout, login::logout_by_post))
        .route("/logout", no_other_logout)
        .routes(routes!(account::change_password))
        .routes(routes!(password_reset::reset))
        .routes(routes!(account::confirm_registration))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(second_factor::show))
        .routes(routes!(second_factor::begin_totp))
        .routes(routes!(second_factor::confirm_totp))
        .routes(routes!(second_factor::renew_recovery_codes))
        .routes(routes!(second_factor::remove))
        .routes(routes!(passkeys::begin))
        .routes(routes!(passkeys::confirm))
        .routes(routes!(passkeys::remove))
        .routes(routes!(passkeys::challenge))
        .routes(routes!(passkeys::challenge_of_login))
        .routes(routes!(passkeys::challenge_of_reset))
        .routes(routes!(account::delete))
        .routes(routes!(operator::show))
        .routes(routes!(operator::list_sessions, operator::end_sessions))
        .routes(routes!(operator::end_session))
        .routes(routes!(operator::disable))
        .routes(routes!(operator::enable))
        .routes(routes!(account_settings::show, account_settings::replace))
        .route_layer(from_fn_with_state(requests, limited));
    let register = OpenApiRouter::new()
        .routes(routes!(account::register))
        .route_layer(from_fn_with_state(registrations, limited));
    let forgotten = OpenApiRouter::new()
        .routes(routes!(password_reset::forgotten))
        .route_layer(from_fn_with_state(resets, limited));
    OpenApiRouter::new()
        .routes(routes!(account::show))
        .merge(changes)
        .merge(register)
        .merge(forgotten)
        .with_state(Arc::new(auth))
}

/// Returns the site that passkeys belong to, if browsers have passkeys for it.
fn site_of(url: &PublicUrl) -> Option<RelyingParty> {
    let site = RelyingParty::of(url.as_url(), PENDING);
    if site.is_none() {
        tracing::info!("there are no passkeys: --public-url must have https:// and a domain name");
    }
    site
}
