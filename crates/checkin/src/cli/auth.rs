//! The command `checkin auth`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tower_express_session::accounts::AccountOptions;

use super::api::MAX_RATE;
use super::mail_options::MailOptions;
use super::metrics_port::MetricsPort;
use super::password_rules::PasswordRules;
use super::reload::SettingsSource;
use crate::app::App;
use crate::config::{Common, integer, listen_address, time};
use crate::lifecycle::{bind, serve};
use crate::services::auth::AuthSettings;
use crate::signals::Stop;
use crate::storage::ServiceKind;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin auth
  checkin auth --store redis://127.0.0.1:6379 --session-secret-file secret.txt --max-sessions 5";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address to listen on. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8083",
        value_parser = listen_address
    )]
    listen: SocketAddr,

    #[command(flatten)]
    logins: Logins,
}

/// The settings of the authentication service, also inside `checkin up`.
#[derive(Args, Debug)]
pub(super) struct Logins {
    /// Maximum number of sessions of an account. A login above it ends the oldest session. Default:
    /// unlimited
    #[arg(
        long,
        env = "CHECKIN_MAX_SESSIONS",
        value_name = "NUMBER",
        // A session that is not in the index could not be ended by a later login.
        value_parser = integer::<u32>(1..=AccountOptions::MAX_INDEXED as u64)
    )]
    max_sessions: Option<u32>,

    /// Minimum time of a login with a wrong password, such as 500ms, so that nobody can tell from the
    /// time whether there is an account and how its password is hashed. It should be longer than the
    /// slowest hash takes. At most 5s; 0 means no minimum
    #[arg(
        long,
        env = "CHECKIN_FAILED_LOGIN_TIME",
        value_name = "TIME",
        default_value = "500ms",
        value_parser = failed_login_time
    )]
    failed_login_time: Duration,

    #[command(flatten)]
    passwords: PasswordRules,

    /// Maximum number of requests per second of one session that log in or out, change a password, list
    /// or end sessions, with bursts of ten times as many. Requests without a session are limited to
    /// ten times as many per network address. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_REQUEST_RATE",
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = integer::<u32>(0..=MAX_RATE)
    )]
    request_rate: u32,

    /// Maximum number of registrations per hour from one network address, and of requests for a message
    /// about a forgotten password. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_REGISTER_RATE",
        value_name = "NUMBER",
        default_value_t = 60,
        value_parser = integer::<u32>(0..=MAX_RATE)
    )]
    register_rate: u32,

    /// How long an account that somebody registers is new, such as 24h. The read API limits what it may
    /// look up about others (--newcomer-rate). 0 means that no account is new
    #[arg(
        long,
        env = "CHECKIN_NEWCOMER_TIME",
        value_name = "TIME",
        default_value = "24h",
        value_parser = time
    )]
    newcomer_time: Duration,

    #[command(flatten)]
    mail: MailOptions,
}

/// The maximum of `--failed-login-time`: so long may a request be kept open for each hash.
const MAX_FAILED_LOGIN_TIME: Duration = Duration::from_secs(5);

fn failed_login_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time > MAX_FAILED_LOGIN_TIME => Err("must be at most 5s".to_owned()),
        time => Ok(time),
    }
}

impl Logins {
    pub(super) fn settings(self) -> anyhow::Result<AuthSettings> {
        Ok(AuthSettings {
            max_sessions: self.max_sessions.map(|max| max as usize),
            failed_login_time: self.failed_login_time,
            passwords: self.passwords.policy(),
            request_rate: self.request_rate,
            register_rate: self.register_rate,
            newcomer_time: self.newcomer_time,
            public_url: self.mail.public_url(),
            mail: self.mail.settings()?,
        })
    }
}

pub(super) async fn run(
    config: &Common,
    options: Options,
    source: SettingsSource,
) -> anyhow::Result<ExitCode> {
    // Before anything is opened, so that a wrong setting is all that happens.
    let logins = options.logins.settings()?;
    let stop = Stop::on_signal(config.drain)?;
    let app = App::open(config).await?.stopping_with(&stop);
    app.start("auth", &[ServiceKind::Auth]).await?;
    source.reload_on_hangup(&app)?;
    let listener = bind(options.listen, "--listen").await?;
    let metrics = MetricsPort::open(config).await?;
    announce(listener.local_addr()?);
    let router = app.port("auth", &[&app.auth(logins)]);
    let service = app.searching(serve(listener, router, &app.doors, stop));
    app.alongside(metrics.alongside(&app, config, service)).await?;
    app.finish().await;
    Ok(ExitCode::SUCCESS)
}

/// Logs that the service is ready.
pub(super) fn announce(address: SocketAddr) {
    tracing::info!("Authentication service listening on port {}.", address.port());
}
