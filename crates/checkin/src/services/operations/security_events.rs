//! Security events: logins, failed logins, logouts and changes of accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operator::Operator;
use super::state::Operations;
use crate::domain::UserId;
use crate::http::document::{Forbidden, LoginNeeded, Problems};
use crate::http::{Parameters, Problem, RequestAddress};
use crate::input::{Documented, Given, Input, Integer, parameters};
use crate::storage::{EventKind, RecordedEvent, SecurityEvent};
use crate::usecases::security_history::{EventCursor, EventFilter, latest};

/// The maximum number of events on a page.
const MAX_LISTED: u64 = 100;

impl Input for EventKind {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(|rule| format!("{rule}"))
    }
}

impl Documented for EventKind {
    fn schema() -> ObjectBuilder {
        let names = Self::ALL.iter().map(|kind| kind.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))
    }
}

impl Input for EventCursor {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(str::to_owned)
    }
}

impl Documented for EventCursor {
    fn schema() -> ObjectBuilder {
        let pattern = "^(0|[1-9][0-9]{0,18})-(0|[1-9][0-9]{0,18})-[flop]$";
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
    }
}

parameters! {
    pub(super) struct EventParameters(RequestAddress) {
        /// Lists the events of this account only, also of one that was deleted
        account "account" in Query: Option<UserId>;
        /// Lists the events of this kind only
        kind "kind" in Query: Option<EventKind>, example "failed-login";
        /// Lists those behind this one: `next` of the page before
        after "after" in Query: Option<EventCursor>, example "1783294200000-5-o";
        /// The maximum number of events; 100 if it is not given
        limit "limit" in Query: Option<Integer<1, MAX_LISTED>>;
    }
}

/// A page of security events, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct SecurityEventList {
    events: Vec<EventView>,
    /// What the next page begins behind; `null` if there is none. A page looks at a limited number of events, so
    /// it may have few or none, and a next one.
    next: Option<String>,
}

/// A security event, without the network address that it came from.
#[derive(Serialize, ToSchema)]
#[schema(as = SecurityEvent)]
struct EventView {
    /// The time in milliseconds since 1970.
    time: u64,
    /// What happened.
    kind: &'static str,
    /// The id of the account; `null` if there is no such account, or if it happened to all.
    account: Option<u64>,
    /// The service or the command that did it.
    source: String,
    /// More about it, such as a role, the handle of a session or a number of sessions.
    detail: Option<String>,
}

/// Lists security events, the newest first.
#[utoipa::path(
    get, operation_id = "listSecurityEvents", path = "/operations/security-events", tag = "operators",
    security(("session" = [])), params(EventParameters),
    responses((status = 200, body = SecurityEventList), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn list(
    State(operations): State<Arc<Operations>>,
    _operator: Operator,
    Parameters(EventParameters { account, kind, after, limit }): Parameters<EventParameters>,
) -> Result<Json<SecurityEventList>, Problem> {
    let limit = limit.map_or(MAX_LISTED, |limit| limit.0) as usize;
    let page = latest(&*operations.storage, EventFilter { account, kind }, after, limit).await?;
    let events = page.events.into_iter().map(EventView::from).collect();
    Ok(Json(SecurityEventList { events, next: page.next.map(|next| next.to_string()) }))
}

impl From<RecordedEvent> for EventView {
    fn from(RecordedEvent { position, event }: RecordedEvent) -> Self {
        let SecurityEvent { kind, account, source, detail, .. } = event;
        let account = account.map(UserId::get);
        Self { time: position.ms, kind: kind.as_str(), account, source, detail }
    }
}
