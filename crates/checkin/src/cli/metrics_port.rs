//! The port of `--metrics-listen`.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Common;
use crate::lifecycle::{bind, serve};
use crate::signals::Stop;

/// The port for the metrics of all services of a process, if one is wanted.
pub(super) struct MetricsPort(Option<TcpListener>);

impl MetricsPort {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// If the port is taken or not allowed.
    pub(super) async fn open(config: &Common) -> anyhow::Result<Self> {
        let Some(address) = config.metrics_listen else { return Ok(Self(None)) };
        let listener = bind(address, "--metrics-listen").await?;
        tracing::info!("Metrics listening on port {}.", listener.local_addr()?.port());
        Ok(Self(Some(listener)))
    }

    /// Runs the services of a process, and serves the port meanwhile.
    pub(super) async fn alongside<T>(
        self,
        app: &App,
        config: &Common,
        services: impl Future<Output = T>,
    ) -> T {
        let Some(listener) = self.0 else { return services.await };
        let stop = Stop { draining: CancellationToken::new(), stopped: CancellationToken::new() };
        let stopped = stop.stopped.clone();
        // Its own, so that those who flood the services cannot keep out the monitoring.
        let doors = app.new_doors(config);
        let serve = serve(listener, app.metrics_port(), &doors, stop);
        let services = async {
            let ended = services.await;
            stopped.cancel();
            ended
        };
        tokio::join!(services, serve).0
    }
}
