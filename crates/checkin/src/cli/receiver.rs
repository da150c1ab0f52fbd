//! The command `checkin receiver`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::metrics_port::MetricsPort;
use super::reload::SettingsSource;
use crate::app::App;
use crate::config::{Common, MAX_INTEGER, integer, listen_address, switch, time};
use crate::lifecycle::{bind, serve};
use crate::services::receiver::ReceiverSettings;
use crate::signals::Stop;
use crate::storage::{Admission, ServiceKind};

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin receiver
  checkin receiver --duplicate-window 0 --checkin-rate 20
  checkin receiver --no-auth                 for a closed network: believes every user id";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address to listen on. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8082",
        value_parser = listen_address
    )]
    listen: SocketAddr,

    /// Accepts check-ins without a session, from everybody
    #[arg(long, env = "CHECKIN_NO_AUTH", value_parser = switch)]
    no_auth: bool,

    // An argument of the walk-through's first version. Sessions are required without it, too.
    #[arg(value_name = "auth", value_parser = ["auth"], conflicts_with = "no_auth", hide = true)]
    auth: Option<String>,

    #[command(flatten)]
    limits: Limits,
}

/// The limits of the receiver, also inside `checkin up`.
#[derive(Args, Debug)]
pub(super) struct Limits {
    /// Refuses a check-in that is identical to one of the same user within this time. 0 refuses none
    #[arg(
        long,
        env = "CHECKIN_DUPLICATE_WINDOW",
        value_name = "TIME",
        default_value = "10m",
        value_parser = time
    )]
    duplicate_window: Duration,

    /// Maximum number of check-ins of a partition that wait to be applied. Above it, new ones get
    /// 503. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_MAX_BACKLOG",
        value_name = "NUMBER",
        default_value_t = 1_000_000,
        value_parser = integer::<u64>(0..=MAX_INTEGER)
    )]
    max_backlog: u64,

    /// Maximum length of each log partition. The oldest applied check-ins are trimmed (they stay in
    /// the histories); if none has been applied yet, new check-ins get 503. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_MAX_LOG_LENGTH",
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = integer::<u64>(0..=MAX_INTEGER)
    )]
    max_log_length: u64,

    /// Maximum number of check-ins per second of one user, with bursts of ten times as many. 0
    /// means unlimited
    #[arg(
        long,
        env = "CHECKIN_CHECKIN_RATE",
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = integer::<u32>(0..=u32::MAX.into())
    )]
    checkin_rate: u32,
}

impl Limits {
    pub(super) fn settings(&self) -> ReceiverSettings {
        let bound = |number| if number == 0 { u64::MAX } else { number };
        let admission = Admission {
            duplicate_window: self.duplicate_window,
            max_backlog: bound(self.max_backlog),
            max_length: bound(self.max_log_length),
        };
        ReceiverSettings { admission, rate_per_user: self.checkin_rate }
    }
}

pub(super) async fn run(
    config: &Common,
    options: Options,
    source: SettingsSource,
) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signal(config.drain)?;
    let app = App::open(config).await?.stopping_with(&stop);
    app.start("receiver", &[ServiceKind::Receiver]).await?;
    source.reload_on_hangup(&app)?;
    let listener = bind(options.listen, "--listen").await?;
    let metrics = MetricsPort::open(config).await?;
    announce(listener.local_addr()?, !options.no_auth);
    let receiver = app.receiver(!options.no_auth, options.limits.settings());
    let router = app.port("receiver", &[&receiver]);
    let service = serve(listener, router, &app.doors, stop);
    app.alongside(metrics.alongside(&app, config, service)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Logs that the service is ready, and whether it requires sessions.
pub(super) fn announce(address: SocketAddr, sessions: bool) {
    tracing::info!("Checkin receiver listening on port {}.", address.port());
    if sessions {
        tracing::info!("Authentication enabled, checkins require a valid user session.");
    } else {
        tracing::warn!("Authentication disabled, checkins do not require a valid user session.");
    }
}
