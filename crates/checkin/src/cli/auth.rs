//! `checkin auth`

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use crate::app::App;
use crate::config::{Common, listen_address};
use crate::lifecycle::{Stop, bind, serve};

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The address to listen on; port 0 picks one
    #[arg(
        long,
        env = "CHECKIN_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8083",
        value_parser = listen_address
    )]
    listen: SocketAddr,
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let app = App::open(config).await?;
    app.reach().await?;
    let stop = Stop::on_signal()?;
    let listener = bind(options.listen, "--listen").await?;
    announce(listener.local_addr()?);
    serve(listener, app.auth(), stop).await;
    Ok(ExitCode::SUCCESS)
}

/// The line that says that the service is ready.
pub(super) fn announce(address: SocketAddr) {
    tracing::info!("Authentication service listening on port {}.", address.port());
}
