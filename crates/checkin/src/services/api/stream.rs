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

use super::in_task::in_task;
use super::state::Api;
use super::visitor::Visitor;
use crate::http::document::{LoginNeeded, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::parameters;
use crate::storage::LogPosition;
use crate::usecases::feed::{Listener, News};

/// How often something is sent when nothing happens, so that nobody in between takes the connection
/// for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits before it comes again.
const RETRY: Duration = Duration::from_secs(1);

/// How often to look whether the session still stands.
const SESSION_CHECK: Duration = Duration::from_secs(1);

/// Events that wait for a client to read them; those of one page of the log wait besides.
const AHEAD: usize = 16;

const LAST_EVENT_ID: &str = "last-event-id";

/// Tells a proxy (nginx) not to collect events before it sends them.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

parameters! {
    pub(super) struct StreamQuery(RequestAddress) {
        /// Where to go on
        after "lastEventId" in Query: Option<LogPosition>, example "1609602085397-0";
    }
}

/// Check-ins as they happen: events named `checkin` with a check-in as `data`.
///
/// With the `id` of the last event, in the header `Last-Event-ID` or as `lastEventId`, it goes on
/// behind that one; with an id of another log it begins at the end of this one. The stream ends with
/// the session.
#[utoipa::path(
    get, operation_id = "streamCheckins", path = "/api/checkins/stream", tag = "check-ins", security(("session" = [])),
    params(
        StreamQuery,
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
    Parameters(query): Parameters<StreamQuery>,
) -> Result<impl IntoResponse, Problem> {
    let after = match last_event_id(&headers) {
        Some(in_header) => in_header,
        None => query.after,
    };
    let session = visitor.session.detach().await?;
    let listener = api.feed.listen(after).await?;
    let stopping = api.stopping.clone();
    let over = async move {
        let ended = session.ended(SESSION_CHECK);
        pin_mut!(ended);
        match future::select(stopping, ended).await {
            Either::Left(_) => tracing::debug!("a stream ends: the service stops"),
            Either::Right(_) => tracing::debug!("a stream ends: its session has ended"),
        }
    };
    let events = in_task(AHEAD, events(listener).take_until(Box::pin(over)));
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
    Event::default().id(&news.position).event("checkin").data(&news.text)
}

/// What the header says, if it is there: a position, or nothing that can be read as one. A browser
/// sends the header by itself and gives up for good when it is refused, so it never is.
fn last_event_id(headers: &HeaderMap) -> Option<Option<LogPosition>> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let (first, more) = (values.next(), values.next());
    let value = first.filter(|value| !value.is_empty())?;
    Some(value.to_str().ok().filter(|_| more.is_none()).and_then(|text| text.parse().ok()))
}
