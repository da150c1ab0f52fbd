//! The command `checkin processor`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use super::metrics_port::MetricsPort;
use crate::app::App;
use crate::config::{Common, integer, listen_address, positive_time, time};
use crate::lifecycle::{bind, serve};
use crate::services::processor::{self, ProcessorSettings};
use crate::signals::Stop;
use crate::storage::ServiceKind;
use crate::storage::weeks::MIN_KEPT;
use crate::traces::Traces;

pub(super) const EXAMPLES: &str = "\
Examples:
  checkin processor
  checkin processor --name east --listen 127.0.0.1:9100    with /metrics on port 9100";

/// The length of the random suffix that makes the name of a processor unique.
const SUFFIX_BYTES: usize = 6;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The name of the processor in the store and in log lines
    #[arg(long, env = "CHECKIN_PROCESSOR_NAME", value_name = "NAME", default_value = "processor")]
    name: String,

    /// The address for /healthz, /readyz and /metrics. Without it, the processor opens no port
    #[arg(long, env = "CHECKIN_PROCESSOR_LISTEN", value_name = "ADDR", value_parser = listen_address)]
    listen: Option<SocketAddr>,

    #[command(flatten)]
    counting: Counting,
}

/// The settings of a processor, also inside `checkin up`.
#[derive(Args, Debug)]
pub(super) struct Counting {
    /// Maximum number of check-ins in a batch. While check-ins wait, batches grow up to it, as long as
    /// each is applied quickly
    #[arg(
        long,
        env = "CHECKIN_BATCH",
        value_name = "NUMBER",
        default_value_t = 20_000,
        value_parser = integer::<u16>(1..=50_000)
    )]
    batch: u16,

    /// How long the lease of a partition lasts. If a processor ends, others take over its
    /// partitions after this time
    #[arg(
        long,
        env = "CHECKIN_LEASE",
        value_name = "TIME",
        default_value = "5s",
        value_parser = positive_time
    )]
    lease: Duration,

    /// Minimum time that check-ins stay in the histories, such as 90d. Older ones that have left the log
    /// are removed, and stay in the figures. On Redis, nothing leaves the log without --max-log-length.
    /// 0 keeps them for ever; otherwise it must be at least 36d
    #[arg(
        long,
        env = "CHECKIN_KEEP_HISTORY",
        value_name = "TIME",
        default_value = "0",
        value_parser = kept_history
    )]
    keep_history: Duration,
}

fn kept_history(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time.is_zero() || time >= MIN_KEPT => Ok(time),
        _ => Err(format!("must be 0 or at least {}d", MIN_KEPT.as_secs() / 86_400)),
    }
}

impl Counting {
    pub(super) fn settings(
        &self,
        name: &str,
        traces: Option<Traces>,
    ) -> anyhow::Result<ProcessorSettings> {
        let mut random = [0; SUFFIX_BYTES];
        getrandom::fill(&mut random).context("cannot read random numbers")?;
        let name = format!("{name}-{}", URL_SAFE_NO_PAD.encode(random));
        Ok(ProcessorSettings {
            name,
            batch: self.batch.into(),
            lease: self.lease,
            keep_history: Some(self.keep_history).filter(|keep| !keep.is_zero()),
            traces,
        })
    }
}

pub(super) async fn run(config: &Common, options: Options) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signal(config.drain)?;
    let app = App::open(config).await?.stopping_with(&stop);
    app.start("processor", &[ServiceKind::Processor]).await?;
    let progress = app.progress();
    let listener = match options.listen {
        Some(address) => Some(bind(address, "--listen").await?),
        None => None,
    };
    let metrics = MetricsPort::open(config).await?;
    let settings = options.counting.settings(&options.name, app.traces())?;
    tracing::info!("Checkin processor {} started.", settings.name);
    // It receives no requests, so only its port is drained: at the signal, it hands its partitions over
    // to other processors.
    let end = stop.draining.clone();
    let counting = async {
        tokio::select! {
            () = app.ready() => {}
            () = end.cancelled() => return,
        }
        processor::run(app.storage.clone(), settings, progress, end.clone()).await;
    };
    let probes = async {
        if let Some(listener) = listener {
            if let Ok(address) = listener.local_addr() {
                tracing::info!("Checkin processor listening on port {}.", address.port());
            }
            let router = app.processor_port();
            serve(listener, router, &app.doors, stop.clone()).await;
        }
    };
    // Boxed because it is large.
    let service = Box::pin(async { tokio::join!(counting, probes) });
    app.alongside(metrics.alongside(&app, config, service)).await?;
    Ok(ExitCode::SUCCESS)
}
