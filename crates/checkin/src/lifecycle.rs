//! Opens ports, serves them, and stops after the requests in progress.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::connection::{Socket, Waiting};

/// The maximum time that requests in progress may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// The maximum size of a request's head, that is, its target and headers: four times what browsers
/// and proxies send. Responses are buffered up to the same size.
const MAX_HEAD_BYTES: usize = 128 << 10;

/// The maximum number of open connections: more than a busy instance has, and few enough for its
/// memory.
const MAX_CONNECTIONS: usize = 10_000;

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns a token that SIGTERM and SIGINT cancel.
///
/// # Errors
///
/// If the signals cannot be handled.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}

/// Calls `reload` on each SIGHUP as long as the process runs. Calls never overlap: the signals that
/// arrive during a call cause one more call.
///
/// # Errors
///
/// If the signal cannot be handled.
pub fn on_hangup(reload: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload();
        }
    });
    Ok(())
}

/// Opens a port. Port 0 picks a free one.
///
/// # Errors
///
/// If the port is taken or not allowed. The message names the flag that changes it.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}, choose another address with {flag}"))
}

/// Serves until `stop`, then finishes the requests in progress.
///
/// A connection is closed when its client sends the headers of a request too slowly, reads nothing
/// of a response for 15 seconds, or sends no further request for `keep_alive`. Above 10,000
/// connections, new ones wait until others close.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    keep_alive: Duration,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    // `Waiting` limits the time for headers separately from the time between requests.
    http.max_buf_size(MAX_HEAD_BYTES).header_read_timeout(None);
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // The usual cause is too many open files, which passes only when connections close.
                tracing::warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let waiting = Waiting::new(keep_alive);
        let socket = TokioIo::new(Socket::new(stream, waiting.clone()));
        let service = TowerToHyperService::new(service(router.clone(), peer, waiting.clone()));
        let connection = connections.watch(http.serve_connection(socket, service));
        tokio::spawn(async move {
            waiting.limit(connection).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still in progress");
    }
}

/// Returns the router as the service of one connection.
fn service(
    router: Router,
    peer: SocketAddr,
    waiting: Waiting,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone {
    let answering = waiting.clone();
    router
        .map_request(move |mut request: Request<Incoming>| {
            waiting.begin();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.map(Body::new)
        })
        .map_response(move |response: Response<Body>| response.map(|body| answering.answer(body)))
}
