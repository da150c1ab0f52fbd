//! From an open port to a clean end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long requests that are under way may take after the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Tells tasks to stop; clones hear of it together.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops on SIGTERM and on SIGINT.
    ///
    /// # Errors
    ///
    /// When the signals cannot be listened to.
    pub fn on_signal() -> io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Self(receiver))
    }

    /// Returns when it is time to stop.
    pub async fn wait(mut self) {
        // An error means that the sender is gone, which it is only after it said stop.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

/// Opens a port. Port 0 picks a free one.
///
/// # Errors
///
/// When the port is taken or not allowed; the message names the flag that changes it.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}, choose another address with {flag}"))
}

/// Serves until told to stop, then finishes the requests that are under way.
///
/// # Errors
///
/// When the port cannot be served any more.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) -> anyhow::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Answers are small and whole; waiting to fill a packet would only delay them.
        if let Err(cause) = stream.set_nodelay(true) {
            tracing::debug!(%cause, "cannot set TCP_NODELAY");
        }
    });
    let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().wait());
    within_drain(serving.into_future(), stop).await?;
    Ok(())
}

/// The future's result; an end without one when it takes longer than [`DRAIN`] after the stop.
async fn within_drain<T: Default>(
    serving: impl Future<Output = io::Result<T>>,
    stop: Stop,
) -> io::Result<T> {
    let deadline = async {
        stop.wait().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving => result,
        () = deadline => {
            tracing::warn!("stopped with requests still under way");
            Ok(T::default())
        }
    }
}
