//! The command `checkin api`.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::metrics_port::MetricsPort;
use super::reload::SettingsSource;
use crate::app::App;
use crate::config::{Common, integer, listen_address};
use crate::lifecycle::{bind, serve};
use crate::services::api::ApiSettings;
use crate::signals::Stop;
use crate::storage::ServiceKind;
use crate::usecases::upstream::{Upstream, UpstreamError, WeatherKey};

/// The maximum of limits of requests per second: a network may send ten times as many, and a burst is
/// again ten times as many.
pub(super) const MAX_RATE: u64 = 10_000_000;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin api
  checkin api --listen 0.0.0.0:8081 --trust-proxy";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address to listen on. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081",
        value_parser = listen_address
    )]
    listen: SocketAddr,

    #[command(flatten)]
    reads: Reads,
}

/// The settings of the read API, also inside `checkin up`.
#[derive(Args, Debug)]
pub(super) struct Reads {
    /// The address of the weather service: OpenWeatherMap, or a service with the same API
    #[arg(
        long,
        env = "CHECKIN_WEATHER_URL",
        value_name = "URL",
        default_value = "https://api.openweathermap.org/data/2.5/weather",
        value_parser = web_address
    )]
    weather_url: String,

    /// The API key for the weather service. Without a key, the read API returns no weather
    #[arg(long, env = "CHECKIN_WEATHER_KEY", hide_env_values = true, value_name = "KEY")]
    weather_key: Option<WeatherKey>,

    /// Maximum number of users that one account may look up by e-mail address per second, with bursts
    /// of ten times as many. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_LOOKUP_RATE",
        value_name = "NUMBER",
        default_value_t = 2,
        value_parser = integer::<u32>(0..=MAX_RATE)
    )]
    lookup_rate: u32,

    /// Maximum number of look-ups about other people per hour of an account that is new (see
    /// --newcomer-time): by id or e-mail address, lists of users, check-ins and visitors, and streams, which
    /// count again for each 1,000 earlier check-ins. 0 means unlimited
    #[arg(
        long,
        env = "CHECKIN_NEWCOMER_RATE",
        value_name = "NUMBER",
        default_value_t = 60,
        value_parser = integer::<u32>(0..=MAX_RATE)
    )]
    newcomer_rate: u32,
}

impl Reads {
    pub(super) fn settings(&self) -> Result<ApiSettings, UpstreamError> {
        let upstream = self.weather_key.clone().map(|key| Upstream::new(&self.weather_url, key));
        Ok(ApiSettings {
            upstream: upstream.transpose()?,
            lookup_rate: self.lookup_rate,
            newcomer_rate: self.newcomer_rate,
        })
    }
}

pub(super) async fn run(
    config: &Common,
    options: Options,
    source: SettingsSource,
) -> anyhow::Result<ExitCode> {
    let settings = options.reads.settings()?;
    let stop = Stop::on_signal(config.drain)?;
    let app = App::open(config).await?.stopping_with(&stop);
    app.start("api", &[ServiceKind::Api]).await?;
    source.reload_on_hangup(&app)?;
    let listener = bind(options.listen, "--listen").await?;
    let metrics = MetricsPort::open(config).await?;
    announce(listener.local_addr()?);
    let router = app.port("api", &[&app.api(settings, stop.stopped.clone().cancelled_owned())]);
    let service = serve(listener, router, &app.doors, stop);
    app.alongside(metrics.alongside(&app, config, service)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Logs that the service is ready.
pub(super) fn announce(address: SocketAddr) {
    tracing::info!("API service listening on port {}.", address.port());
}

fn web_address(text: &str) -> Result<String, &'static str> {
    let rule = "must be an address that begins with https:// or http://";
    let url = reqwest::Url::parse(text).map_err(|_| rule)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(rule);
    }
    Ok(text.to_owned())
}
