//! `GET /api/user/{id}/checkins/export`: a user's own history as a file.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::in_task::in_task;
use super::state::{Api, now_ms};
use super::visitor::Visitor;
use crate::domain::UserId;
use crate::export::{Format, HistoryReader, Writer};
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::{Documented, Given, Input, parameters};
use crate::telemetry::chain;

/// The number of pages that wait for the client to read them.
const AHEAD: usize = 1;

parameters! {
    pub(super) struct ExportQuery(RequestAddress) {
        /// The format of the file; json by default
        format "format" in Query: Option<Format>;
        id "id" in Path: UserId;
    }
}

impl Input for Format {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(|rule| format!("{rule}"))
    }
}

impl Documented for Format {
    fn schema() -> ObjectBuilder {
        let names = Self::ALL.map(Self::as_str).join("|");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!("^({names})$")))
    }
}

/// Returns your own check-ins as a file, the latest first. `json` and `csv` can be loaded again;
/// `gpx` is for maps, and `ics` for calendars.
#[utoipa::path(
    get, operation_id = "exportUserCheckins", path = "/api/user/{id}/checkins/export", tag = "users", security(("session" = [])),
    params(ExportQuery),
    responses(
        (
            status = 200,
            content(
                (serde_json::Value = "application/json"),
                (String = "text/csv"),
                (String = "application/gpx+xml"),
                (String = "text/calendar"),
            ),
        ),
        LoginNeeded, Forbidden, Problems,
    ),
)]
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    visitor: Visitor,
    Parameters(ExportQuery { format, id }): Parameters<ExportQuery>,
) -> Result<Response, Problem> {
    let (id, format) = (visitor.is(id)?, format.unwrap_or(Format::Json));
    let (history, locations) = (api.stores.history.clone(), api.stores.locations.clone());
    let source = HistoryReader::new(history, locations, id, now_ms());
    let writer = Writer::new(format, Vec::new()).map_err(|_| Problem::internal())?;
    let file = format!("attachment; filename=\"checkins.{}\"", format.as_str());
    let pages = stream::try_unfold((source, Some(writer)), |(source, writer)| page(source, writer));
    let pages = in_task(AHEAD, pages);
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, file)];
    Ok((headers, Body::from_stream(pages)).into_response())
}

type Pages = (HistoryReader, Option<Writer<Vec<u8>>>);

/// Returns the bytes of the next page. The last page includes the end of the file.
async fn page(
    mut source: HistoryReader,
    writer: Option<Writer<Vec<u8>>>,
) -> io::Result<Option<(Vec<u8>, Pages)>> {
    let Some(mut writer) = writer else {
        return Ok(None);
    };
    // The status has been sent already. The error ends the response early, so that the client
    // notices.
    let page = source.next_page().await.map_err(|error| {
        if !error.is_logged() {
            tracing::error!(cause = %chain(&error), "the store failed in the middle of an export");
        }
        io::Error::other(error)
    })?;
    if page.is_empty() {
        return Ok(Some((writer.finish()?, (source, None))));
    }
    for checkin in page {
        writer.write(&source.visit(checkin))?;
    }
    let bytes = std::mem::take(writer.get_mut());
    Ok(Some((bytes, (source, Some(writer)))))
}
