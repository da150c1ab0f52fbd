//! Opens ports, serves them, and stops after the requests in progress.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use axum::{BoxError, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};

use crate::concurrency::{Concurrency, Place};
use crate::config::{Network, Networks};
use crate::connection::{LARGE_HEADS, Socket, TimeLimits, Waiting};
use crate::http::{ClientAddress, Proxies};
use crate::signals::Stop;

/// The maximum time that requests in progress may take after the service has stopped.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long a new connection may take to send its first request after the service has stopped.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// The maximum size of a request's head, that is, its target and headers: what browsers and proxies
/// send at most. Responses are buffered up to the same size.
const MAX_HEAD_BYTES: usize = 32 << 10;

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The minimum time between two warnings about connections that could not be accepted.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

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

/// Allows the process as many open files as the system lets it have. Most systems start programs with
/// 1024, which are fewer than the connections of a busy service.
pub fn raise_file_limit() {
    if let Err(cause) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%cause, "cannot raise the limit of open files");
    }
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

/// Which connections are accepted, and how long they may wait for their clients. The ports of a process
/// share it.
#[derive(Clone, Debug)]
pub struct Doors(Arc<DoorSettings>);

#[derive(Debug)]
struct DoorSettings {
    times: TimeLimits,
    places: Arc<Semaphore>,
    /// The places for large heads of requests that have not ended.
    large_heads: Arc<Semaphore>,
    per_address: Concurrency<ClientAddress>,
    /// The peers that [`per_address`](Self::per_address) does not limit.
    proxies: Proxies,
    unlimited: Networks,
    /// Counts the connections that were closed because there were too many.
    refused: Counter,
    warned: Mutex<Option<Instant>>,
}

/// The right to a connection.
type ConnectionPlace = (OwnedSemaphorePermit, Option<Place<ClientAddress>>);

impl Doors {
    /// Creates the doors of a process, which count the connections that they refuse.
    #[must_use]
    pub fn new(network: &Network, proxies: Proxies, refused: Counter) -> Self {
        Self(Arc::new(DoorSettings {
            times: TimeLimits {
                headers: network.header_timeout,
                keep_alive: network.keep_alive_timeout,
                write: network.write_timeout,
            },
            places: Arc::new(Semaphore::new(network.max_connections)),
            large_heads: Arc::new(Semaphore::new(LARGE_HEADS)),
            per_address: Concurrency::new(network.max_connections_per_address),
            proxies,
            unlimited: network.unlimited_networks.clone(),
            refused,
            warned: Mutex::default(),
        }))
    }

    /// Returns the place of a new connection, or `None` if there are too many.
    fn admit(&self, peer: IpAddr) -> Option<ConnectionPlace> {
        let admitted = self.place(peer);
        if admitted.is_none() {
            self.0.refused.inc();
            self.warn("closing new connections: there are too many");
        }
        admitted
    }

    fn place(&self, peer: IpAddr) -> Option<ConnectionPlace> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        let is_limited = !self.0.proxies.contain(peer) && !self.0.unlimited.contains(peer);
        let of_address = match is_limited {
            true => Some(self.0.per_address.enter(ClientAddress::new(peer))?),
            false => None,
        };
        Some((place, of_address))
    }

    /// Warns about connections that were not served, not more often than each ten seconds.
    fn warn(&self, what: impl Display) {
        // Locked for single steps.
        let mut warned = self.0.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) {
            tracing::warn!("{what}");
            *warned = Some(Instant::now());
        }
    }
}

/// Serves until `stop`, then finishes the requests in progress.
///
/// While `stop` drains, each response closes its connection, so that proxies open the next one to
/// another instance. New connections are accepted, and idle ones stay open.
///
/// `doors` limits the number of connections and the time that they wait for their clients.
pub async fn serve(listener: TcpListener, router: Router, doors: &Doors, stop: Stop) {
    let connections = Connections::new(router, doors.clone(), stop.clone());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.stopped.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => connections.serve(stream, peer),
            Err(cause) => {
                // The usual cause is too many open files, which passes only when connections close.
                doors.warn(format_args!("cannot accept a connection: {cause}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // The system has accepted connections that we have not. Closing the port would reset them,
    // although their clients may have sent requests that must not be sent twice.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                connections.serve(stream, peer);
            }
        }
    }
    connections.tasks.close();
    if tokio::time::timeout(LAST_REQUESTS, connections.tasks.wait()).await.is_err() {
        tracing::warn!("stopped with requests still in progress");
    }
}

/// The connections of a port.
struct Connections {
    http: http1::Builder,
    router: Router,
    doors: Doors,
    stop: Stop,
    tasks: TaskTracker,
}

impl Connections {
    fn new(router: Router, doors: Doors, stop: Stop) -> Self {
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD_BYTES).max_header_size(MAX_HEAD_BYTES);
        // `Waiting` limits the time for headers separately from the time between requests.
        http.header_read_timeout(None);
        Self { http, router, doors, stop, tasks: TaskTracker::new() }
    }

    /// Serves a connection in a task of its own, or closes it if there are too many.
    fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(place) = self.doors.admit(peer.ip()) else { return };
        let Stop { draining, stopped } = self.stop.clone();
        let waiting = Waiting::new(self.doors.0.times);
        let socket = TokioIo::new(Socket::new(
            stream,
            waiting.clone(),
            Arc::clone(&self.doors.0.large_heads),
        ));
        let service = service(self.router.clone(), peer, waiting.clone(), draining);
        let mut connection = self.http.serve_connection(socket, TowerToHyperService::new(service));
        // By reference: a future that a function takes by value is in the task twice.
        self.tasks.spawn(async move {
            waiting.limit(pin!(until_stopped(&mut connection, &waiting, &stopped))).await;
            drop(connection);
            drop(place);
        });
    }
}

/// Runs a connection to its end. After `stopped`, it ends with the request in progress.
async fn until_stopped<I, S, B>(
    connection: &mut http1::Connection<I, S>,
    waiting: &Waiting,
    stopped: &CancellationToken,
) where
    http1::Connection<I, S>: Future + Unpin,
    S: HttpService<Incoming, ResBody = B, Error: Into<BoxError>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body<Error: Into<BoxError>> + 'static,
{
    tokio::select! {
        _ = &mut *connection => return,
        () = stopped.cancelled() => {}
    }
    // hyper would close a new connection without reading what its client has sent.
    let has_ended =
        waiting.is_new() && tokio::time::timeout(FIRST_REQUEST, &mut *connection).await.is_ok();
    if !has_ended {
        Pin::new(&mut *connection).graceful_shutdown();
        connection.await;
    }
}

/// Returns the router as the service of one connection.
fn service(
    router: Router,
    peer: SocketAddr,
    waiting: Waiting,
    draining: CancellationToken,
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
        .map_response(move |mut response: Response<Body>| {
            if draining.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.map(|body| answering.answer(body))
        })
}
