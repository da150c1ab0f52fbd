//! The stream of new check-ins, as server-sent events.

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

/// The interval of keep-alive messages. Without them, proxies could close the connection as idle.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The time that a client waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

/// The interval at which the session is checked.
const SESSION_CHECK: Duration = Duration::from_secs(1);

/// The number of events that wait for a client to read them, in addition to those of one page of
/// the log.
const AHEAD: usize = 16;

const LAST_EVENT_ID: &str = "last-event-id";

/// Makes a proxy (nginx) send events at once instead of buffering them.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

parameters! {
    pub(super) struct StreamQuery(RequestAddress) {
        /// The id of the last event; the stream continues after it
        after "lastEventId" in Query: Option<LogPosition>, example "1609602085397-0";
    }
}

/// Streams new check-ins as server-sent events named `checkin`, each with a check-in as `data`.
///
/// With the `id` of the last event, in the header `Last-Event-ID` or as `lastEventId`, the stream
/// continues after that event. With an id of another log, it begins at the end of this log. The
/// stream ends with the session.
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
    // An id without data is not an event, but clients remember it: a client that loses the
    // connection now misses nothing.
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

/// Returns the position in the header, if the header is there, or `Some(None)` if its value is not
/// a position. Browsers send the header by themselves and would give up for good after an error, so
/// an unreadable value is not refused.
fn last_event_id(headers: &HeaderMap) -> Option<Option<LogPosition>> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let (first, more) = (values.next(), values.next());
    let value = first.filter(|value| !value.is_empty())?;
    Some(value.to_str().ok().filter(|_| more.is_none()).and_then(|text| text.parse().ok()))
}
