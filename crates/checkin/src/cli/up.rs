//! `checkin up`: every service in one process.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::metrics_port::MetricsPort;
use super::reload::SettingsSource;
use super::{api, auth, console, load, processor, receiver, say};
use crate::app::App;
use crate::config::{Common, listen_address};
use crate::demo;
use crate::lifecycle::{bind, serve};
use crate::services::processor::run as run_processor;
use crate::signals::Stop;
use crate::storage::{ServiceKind, StorageError};
use crate::telemetry::for_service;

/// The time between two attempts to load the demo data after an outage.
const RETRY: Duration = Duration::from_millis(500);

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin up
  checkin up --store redis://127.0.0.1:6379 --session-secret-file secret.txt
  checkin up --console-listen 127.0.0.1:9000";

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address of the console. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_CONSOLE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080",
        value_parser = listen_address
    )]
    console_listen: SocketAddr,

    /// The address of the check-in receiver. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_RECEIVER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8082",
        value_parser = listen_address
    )]
    receiver_listen: SocketAddr,

    /// The address of the authentication service. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_AUTH_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8083",
        value_parser = listen_address
    )]
    auth_listen: SocketAddr,

    /// The address of the read API. Port 0 picks a free port
    #[arg(
        long,
        env = "CHECKIN_API_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081",
        value_parser = listen_address
    )]
    api_listen: SocketAddr,

    #[command(flatten)]
    reads: api::Reads,

    #[command(flatten)]
    logins: auth::Logins,

    #[command(flatten)]
    checkins: receiver::Limits,

    #[command(flatten)]
    counting: processor::Counting,

    #[command(flatten)]
    maps: console::Maps,
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
    app.start("up", &ServiceKind::ALL).await?;
    source.reload_on_hangup(&app)?;
    // The ports come first, so that an error about them appears before the data is loaded.
    let console_listener = bind(options.console_listen, "--console-listen").await?;
    let api_listener = bind(options.api_listen, "--api-listen").await?;
    let receiver_listener = bind(options.receiver_listen, "--receiver-listen").await?;
    let auth_listener = bind(options.auth_listen, "--auth-listen").await?;
    let metrics = MetricsPort::open(config).await?;
    let mut demo = Demo::default();
    let has_login = if app.is_ready() { demo.load(&app).await? } else { None };
    let (receiver_at, auth_at) = (receiver_listener.local_addr()?, auth_listener.local_addr()?);
    let (api_at, console_at) = (api_listener.local_addr()?, console_listener.local_addr()?);
    for_service("console", || console::announce(console_at));
    for_service("api", || api::announce(api_at));
    for_service("receiver", || receiver::announce(receiver_at, true));
    for_service("auth", || auth::announce(auth_at));
    say(format_args!(
        "\n  console            http://{console_at}\n  \
         read API           http://{api_at}\n  \
         check-in receiver  http://{receiver_at}\n  authentication     http://{auth_at}\n  \
         store              {}",
        config.store
    ))?;
    if has_login == Some(true) {
        say_login()?;
    }
    say("")?;
    let api = app.api(reads, stop.stopped.clone().cancelled_owned());
    let receiver = app.receiver(true, options.checkins.settings());
    let auth = app.auth(logins);
    let operations = app.operations(config);
    let settings = options.counting.settings("up", app.traces())?;
    let progress = app.progress();
    let counting = async {
        tokio::select! {
            () = app.ready() => {}
            () = stop.stopped.cancelled() => return Ok(()),
        }
        if has_login.is_none() {
            let has_login = loop {
                if let Some(has_login) = demo.load(&app).await? {
                    break has_login;
                }
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = stop.stopped.cancelled() => return Ok(()),
                }
            };
            if has_login {
                say_login()?;
            }
        }
        // It applies what the receiver accepts during the drain.
        let end = stop.stopped.clone();
        run_processor(app.storage.clone(), settings, progress, end).await;
        anyhow::Ok(())
    };
    let doors = &app.doors;
    let serving = async {
        tokio::join!(
            serve(
                console_listener,
                app.console_port(&auth, &[&receiver, &api, &operations], tiles),
                doors,
                stop.clone()
            ),
            serve(api_listener, app.port("api", &[&api]), doors, stop.clone()),
            serve(receiver_listener, app.port("receiver", &[&receiver]), doors, stop.clone()),
            serve(auth_listener, app.port("auth", &[&auth]), doors, stop.clone())
        );
        Ok(())
    };
    // Boxed because it is large.
    let services = Box::pin(app.searching(async { tokio::try_join!(counting, serving) }));
    app.alongside(metrics.alongside(&app, config, services)).await??;
    app.finish().await;
    Ok(ExitCode::SUCCESS)
}

/// The demo data. An outage of the store may interrupt its loading.
#[derive(Default)]
struct Demo {
    /// Whether the demo data must be loaded: the store was empty at the first look.
    is_wanted: Option<bool>,
}

impl Demo {
    /// Loads the demo data into an empty store and returns whether its login works. Returns `None` if
    /// the store becomes unavailable meanwhile; the next call loads what is missing.
    async fn load(&mut self, app: &App) -> anyhow::Result<Option<bool>> {
        match self.attempt(app).await {
            Err(error) if is_outage(&error) => Ok(None),
            attempted => attempted.map(Some),
        }
    }

    async fn attempt(&mut self, app: &App) -> anyhow::Result<bool> {
        let is_wanted = match self.is_wanted {
            Some(is_wanted) => is_wanted,
            None => app.storage.is_empty().await?,
        };
        self.is_wanted = Some(is_wanted);
        if is_wanted {
            load::load_demo(app).await?;
        }
        self.is_wanted = Some(false);
        Ok(app.demo_account().id().await.context("cannot read the accounts")?.is_some())
    }
}

fn is_outage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StorageError>().is_some_and(StorageError::is_logged)
}

fn say_login() -> io::Result<()> {
    let (login, password) = (demo::LOGIN, demo::PASSWORD);
    say(format_args!("  demo login         {login} with password {password}"))
}
