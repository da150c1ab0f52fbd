//! From an open port to a clean end.

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

/// How long requests that are under way may take after the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// The longest head of a request, address and headers together: four times what browsers and proxies
/// send. Answers wait in as many bytes until the system takes them.
const MAX_HEAD_BYTES: usize = 128 << 10;

/// Connections that are open at a time: more than a busy instance has, fewer than cost its memory.
const MAX_CONNECTIONS: usize = 10_000;

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns a token that SIGTERM and SIGINT cancel.
///
/// # Errors
///
/// When the signals cannot be listened to.
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

/// Calls `reload` on each SIGHUP, as long as the process runs. Calls never overlap, and signals that
/// come during one make one more.
///
/// # Errors
///
/// When the signal cannot be listened to.
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
/// When the port is taken or not allowed; the message names the flag that changes it.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}, choose another address with {flag}"))
}

/// Serves until told to stop, then finishes the requests that are under way.
///
/// A connection is closed when its client sends the headers of a request too slowly, takes nothing
/// of an answer for 15 seconds, or sends no further request for `keep_alive`. Of more than 10,000
/// connections the later ones wait to be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    keep_alive: Duration,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    // `Waiting` limits the time for headers, apart from the time between requests.
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
                // Mostly too many open files: it gets better when connections end, not sooner.
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
        tracing::warn!("stopped with requests still under way");
    }
}

/// The router as one connection sees it.
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
