//! The command `checkin console`.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::metrics_port::MetricsPort;
use super::reload::SettingsSource;
use super::{api, auth, receiver};
use crate::app::App;
use crate::config::{Common, listen_address};
use crate::lifecycle::{bind, serve};
use crate::services::console::{Tiles, TilesUrl};
use crate::signals::Stop;
use crate::storage::ServiceKind;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin console
  checkin console --listen 0.0.0.0:8080 --trust-proxy";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address to listen on. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    listen: SocketAddr,

    #[command(flatten)]
    reads: api::Reads,

    #[command(flatten)]
    logins: auth::Logins,

    #[command(flatten)]
    checkins: receiver::Limits,

    #[command(flatten)]
    maps: Maps,
}

/// The settings of the maps, also inside `checkin up`.
#[derive(Args, Debug)]
pub(super) struct Maps {
    /// The address of the tiles of maps, such as https://tiles.example.org/{z}/{x}/{y}.png. The browsers of
    /// visitors load them, so its owner sees their network addresses. Default: maps are drawn from coast
    /// lines in the program, and load nothing from elsewhere
    #[arg(long, env = "CHECKIN_MAP_TILES_URL", value_name = "URL")]
    map_tiles_url: Option<TilesUrl>,

    /// The text below maps with tiles, as the owner of the tiles asks for it, such as "© OpenStreetMap
    /// contributors". It needs --map-tiles-url
    #[arg(long, env = "CHECKIN_MAP_ATTRIBUTION", value_name = "TEXT")]
    map_attribution: Option<String>,
}

impl Maps {
    /// Returns the tiles, if there are some.
    ///
    /// # Errors
    ///
    /// If there are none, but a text about them.
    pub(super) fn tiles(self) -> anyhow::Result<Option<Tiles>> {
        let Self { map_tiles_url, map_attribution: attribution } = self;
        match map_tiles_url {
            None if attribution.is_some() => {
                bail!("--map-tiles-url must be set with --map-attribution")
            }
            url => Ok(url.map(|url| Tiles { url, attribution })),
        }
    }
}

pub(super) async fn run(
    config: &Common,
    options: Options,
    source: SettingsSource,
) -> anyhow::Result<ExitCode> {
    let (logins, reads) = (options.logins.settings()?, options.reads.settings()?);
    let tiles = options.maps.tiles()?;
    let stop = Stop::on_signal(config.drain)?;
    let app = App::open(config).await?.stopping_with(&stop);
    app.start("console", &[ServiceKind::Auth, ServiceKind::Receiver, ServiceKind::Api]).await?;
    source.reload_on_hangup(&app)?;
    let listener = bind(options.listen, "--listen").await?;
    let metrics = MetricsPort::open(config).await?;
    let auth = app.auth(logins);
    let receiver = app.receiver(true, options.checkins.settings());
    let api = app.api(reads, stop.stopped.clone().cancelled_owned());
    announce(listener.local_addr()?);
    let operations = app.operations(config);
    let router = app.console_port(&auth, &[&receiver, &api, &operations], tiles);
    let service = app.searching(serve(listener, router, &app.doors, stop));
    app.alongside(metrics.alongside(&app, config, service)).await?;
    app.finish().await;
    Ok(ExitCode::SUCCESS)
}

/// Logs that the service is ready.
pub(super) fn announce(address: SocketAddr) {
    tracing::info!("Console listening on port {}.", address.port());
}
