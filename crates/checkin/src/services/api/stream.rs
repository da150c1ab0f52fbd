//! Check-ins as they happen, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::future::{self, Either};
use futures_util::{Stream, StreamExt, pin_mut, stream as streams};

use super::feed::{Listener, News};
use super::parameters::Parameters;
use super::{Api, Visitor};
use crate::http::document::{LoginNeeded, Problems};
use crate::http::{ApiError, FieldError};
use crate::storage::LogPosition;

/// How often something is sent when nothing happens, so that nobody in between takes the connection
/// for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(1);

/// How often to look whether the session still stands.
const SESSION_CHECK: Duration = Duration::from_secs(1);

const LAST_EVENT_ID: &str = "last-event-id";

/// Tells a proxy (nginx) not to collect events before it sends them.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Check-ins as they happen: events named `checkin` with a check-in as `data`.
///
/// With the `id` of the last event, in the header `Last-Event-ID` or as `lastEventId`, it goes on
/// behind that one. The stream ends with the session.
#[utoipa::path(
    get, operation_id = "streamCheckins", path = "/api/checkins/stream", tag = "check-ins", security(("session" = [])),
    params(
        ("lastEventId" = Option<String>, Query, description = "Where to go on", example = "1609602085397-0"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, as browsers send it"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        LoginNeeded, Problems,
    ),
)]
pub(super) async fn stream(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    headers: HeaderMap,
    given: Parameters,
) -> Result<impl IntoResponse, ApiError> {
    let in_query = given.read(|given| Some(given.query("lastEventId", position)))?;
    let after = last_event_id(&headers)?.or(in_query);
    let session = visitor.session.detach().await?;
    let listener = api
        .feed
        .listen(after)
        .await?
        .ok_or_else(|| bad_position("must be a position in this log"))?;
    let stopping = api.stopping.clone();
    let over = async move {
        let ended = session.ended(SESSION_CHECK);
        pin_mut!(ended);
        match future::select(stopping, ended).await {
            Either::Left(_) => tracing::debug!("a stream ends: the service stops"),
            Either::Right(_) => tracing::debug!("a stream ends: its session has ended"),
        }
    };
    let events = events(listener).take_until(Box::pin(over));
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([(CACHE_CONTROL, "no-store"), (BUFFERING, "no")], sse))
}

fn events(listener: Listener) -> impl Stream<Item = Result<Event, Infallible>> {
    // An id without data is no event, and yet remembered: who is cut off now misses nothing.
    let first = Event::default().id(listener.position()).retry(RETRY);
    let news = streams::unfold(listener, async |mut listener| {
        let news = listener.next().await?;
        Some((event(&news), listener))
    });
    streams::iter([first]).chain(news).map(Ok)
}

fn event(news: &News) -> Event {
    Event::default().id(&news.position).event("checkin").data(&news.json)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<LogPosition>, ApiError> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let (first, more) = (values.next(), values.next());
    let Some(value) = first.filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| more.is_none());
    let read = text.ok_or("must be given once, in ASCII").and_then(position);
    read.map(Some).map_err(bad_position)
}

fn position(text: &str) -> Result<LogPosition, &'static str> {
    text.parse().map_err(|_| "must be the id of an event")
}

fn bad_position(rule: &str) -> ApiError {
    ApiError::Invalid(vec![FieldError::new("Last-Event-ID", rule)])
}
