//! Limits what one client and one session have in progress at the same time. What is above a limit is
//! refused at once, so that nobody has to wait for others.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::{Either, Join, Map, join};
use prometheus_client::metrics::counter::Counter;
use tower::{Layer, Service};
use tower_express_session::{LazySession, SessionId};

use super::origin::RequestOrigin;
use super::waiting_bodies::WaitingBodies;
use super::{ClientAddress, Problem};
use crate::concurrency::{Concurrency, Place};
use crate::config::{Network, Networks};

/// The maximum number of requests of a process that wait for the rest of their body, from whomever they
/// are. Each takes about 30 KB.
const MAX_WAITING_BODIES: usize = 1000;

/// The limits of all ports of a process; clones share the counts.
#[derive(Clone, Debug)]
pub struct ClientLimits(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    unlimited: Networks,
    bodies: WaitingBodies,
    requests: Limit,
    streams: Limit,
}

/// A limit for each address, and another one for each session.
#[derive(Debug)]
struct Limit {
    addresses: Concurrency<ClientAddress>,
    sessions: Concurrency<SessionId>,
    /// Counts what is refused.
    refused: Counter,
}

/// The places of an event stream.
#[derive(Debug)]
pub struct StreamPlaces {
    _address: Option<Place<ClientAddress>>,
    _session: Option<Place<SessionId>>,
}

impl ClientLimits {
    /// Creates the limits of these settings, which count the requests and the streams that they refuse.
    #[must_use]
    pub fn new(network: &Network, requests: Counter, streams: Counter) -> Self {
        let limit = |address, session, refused| Limit {
            addresses: Concurrency::new(address),
            sessions: Concurrency::new(session),
            refused,
        };
        let (requests_per_address, requests_per_session) =
            (network.max_requests_per_address, network.max_requests_per_session);
        let (streams_per_address, streams_per_session) =
            (network.max_streams_per_address, network.max_streams_per_session);
        Self(Arc::new(Limits {
            unlimited: network.unlimited_networks.clone(),
            bodies: WaitingBodies::new(MAX_WAITING_BODIES),
            requests: limit(requests_per_address, requests_per_session, requests),
            streams: limit(streams_per_address, streams_per_session, streams),
        }))
    }

    /// Returns the place of a request of this address. An unknown address has no limit.
    pub(super) fn request(
        &self,
        address: Option<ClientAddress>,
    ) -> Result<Option<Place<ClientAddress>>, Problem> {
        self.0.requests.of_address(address.filter(|address| self.applies_to(*address)))
    }

    /// Returns the requests of the process that wait for their body.
    pub(super) fn bodies(&self) -> &WaitingBodies {
        &self.0.bodies
    }

    /// Returns the places of an event stream of this session.
    ///
    /// # Errors
    ///
    /// 429 if its address or its session has too many.
    pub fn stream(
        &self,
        address: Option<ClientAddress>,
        session: &SessionId,
    ) -> Result<StreamPlaces, Problem> {
        let is_unlimited = address.is_some_and(|address| !self.applies_to(address));
        let session = (!is_unlimited).then_some(session);
        Ok(StreamPlaces {
            _address: self.0.streams.of_address(address.filter(|_| !is_unlimited))?,
            _session: self.0.streams.of_session(session)?,
        })
    }

    fn applies_to(&self, address: ClientAddress) -> bool {
        !self.0.unlimited.contains(address.ip())
    }
}

impl Limit {
    fn of_address(
        &self,
        address: Option<ClientAddress>,
    ) -> Result<Option<Place<ClientAddress>>, Problem> {
        let enter = |address| self.addresses.enter(address).ok_or_else(|| self.refuse("address"));
        address.map(enter).transpose()
    }

    fn of_session(&self, session: Option<&SessionId>) -> Result<Option<Place<SessionId>>, Problem> {
        let enter =
            |id: &SessionId| self.sessions.enter(id.clone()).ok_or_else(|| self.refuse("session"));
        session.map(enter).transpose()
    }

    fn refuse(&self, whose: &str) -> Problem {
        self.refused.inc();
        let detail = format!("this {whose} has too many requests in progress; try again later");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(Duration::from_secs(1))
    }
}

/// As a layer inside that of the sessions, it limits the requests of each session. The id counts as soon
/// as its signature is valid, before the session is read.
impl<S> Layer<S> for ClientLimits {
    type Service = PerSession<S>;

    fn layer(&self, inner: S) -> PerSession<S> {
        PerSession { limits: self.clone(), inner }
    }
}

/// Passes a request on if its session has a place for it.
#[derive(Clone, Debug)]
pub struct PerSession<S> {
    limits: ClientLimits,
    inner: S,
}

/// The place of a request, which is free again when its response begins.
type Held = Option<Place<SessionId>>;

/// A response and the place of its request.
type Answered<R> = (R, Held);

/// A request in progress that holds its place.
type InProgress<F, R> = Map<Join<F, Ready<Held>>, fn(Answered<R>) -> R>;

impl<S: Service<Request, Response = Response>> Service<Request> for PerSession<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<
        InProgress<S::Future, Result<Response, S::Error>>,
        Ready<Result<Response, S::Error>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let extensions = request.extensions();
        let address = extensions.get::<RequestOrigin>().and_then(|origin| origin.address);
        let session = extensions.get::<LazySession>().and_then(LazySession::requested_id);
        let is_limited = address.is_none_or(|address| self.limits.applies_to(address));
        match self.limits.0.requests.of_session(session.filter(|_| is_limited)) {
            Ok(place) => {
                let answered = join(self.inner.call(request), ready(place));
                Either::Left(answered.map(|(response, _place)| response))
            }
            Err(problem) => Either::Right(ready(Ok(problem.into_response()))),
        }
    }
}
