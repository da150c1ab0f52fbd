//! The stream of new check-ins, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use futures_util::future::{self, Either};
use futures_util::{Stream, StreamExt, pin_mut, stream as streams};
use tokio_util::task::AbortOnDropHandle;

use super::representation::event_data;
use super::state::Api;
use super::visitor::Onlooker;
use crate::domain::UserId;
use crate::http::document::{LoginNeeded, Problems};
use crate::http::{Parameters, Problem, RequestAddress, RequestOrigin, StreamPlaces};
use crate::input::parameters;
use crate::storage::LogPosition;
use crate::usecases::feed::{Listener, News};
use crate::usecases::named_checkins::NamedCheckin;
use crate::usecases::newcomers::Newcomers;

/// A comment. Without a message from time to time, proxies could close the connection as idle.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The time that a client waits before it connects again, in milliseconds.
const RETRY_MS: u64 = 1000;

/// The interval at which the session is checked.
const SESSION_CHECK: Duration = Duration::from_secs(1);

/// The number of earlier check-ins that a new account gets for one look-up: as many as from a list.
const LOOK_UP: usize = 1000;

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
/// continues after that event. It has no check-ins of users who do not show where they are. With an id of another log, it begins at the end of this log. The
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
    Extension(origin): Extension<RequestOrigin>,
    Onlooker(visitor): Onlooker,
    headers: HeaderMap,
    Parameters(query): Parameters<StreamQuery>,
) -> Result<impl IntoResponse, Problem> {
    let after = match last_event_id(&headers) {
        Some(in_header) => in_header,
        None => query.after,
    };
    let places = api.limits.stream(origin.address, &visitor.session.id())?;
    let (newcomers, onlooker) = (api.newcomers.clone(), visitor.id);
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
    // In a task, because the body is polled only while its client reads.
    let over = AbortOnDropHandle::new(tokio::spawn(over));
    let streamed = Streamed { listener, newcomers, onlooker, paid: LOOK_UP, _places: places };
    let events = Body::from_stream(events(streamed).take_until(over));
    let headers =
        [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (BUFFERING, "no")];
    Ok((headers, events))
}

/// A stream, which holds its places.
struct Streamed {
    listener: Listener,
    newcomers: Newcomers,
    onlooker: UserId,
    /// The number of earlier check-ins that the look-ups of the user have paid for.
    paid: usize,
    _places: StreamPlaces,
}

impl Streamed {
    /// Returns the next event. A new account gets as many earlier check-ins as from lists; then its stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        let event = match self.listener.next().await? {
            News::Checkin(event) => event,
            News::KeepAlive => KEEP_ALIVE,
        };
        while self.paid < self.listener.caught_up() {
            let admitted = self.newcomers.admit(self.onlooker).await;
            admitted
                .inspect_err(|_| tracing::debug!("a stream ends: its user may look up no more"))
                .ok()?;
            self.paid += LOOK_UP;
        }
        Some(event)
    }
}

/// Returns the events of a stream.
fn events(streamed: Streamed) -> impl Stream<Item = Result<Bytes, Infallible>> {
    // An id without data is not an event, but clients remember it: a client that loses the
    // connection now misses nothing.
    let first = format!("id: {}\nretry: {RETRY_MS}\n\n", streamed.listener.position());
    let news = streams::unfold(streamed, async |mut streamed| {
        let event = streamed.next().await?;
        Some((event, streamed))
    });
    streams::iter([Bytes::from(first)]).chain(news).map(Ok)
}

/// Writes a check-in as an event. JSON has no line breaks between its parts and escapes those in texts.
pub(super) fn event(position: &LogPosition, checkin: &NamedCheckin) -> Bytes {
    let data = event_data(checkin);
    format!("id: {position}\nevent: checkin\ndata: {data}\n\n").into()
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
