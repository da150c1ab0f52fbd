//! Lists and ends the sessions of an account. They are identified by handles, never by their ids.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tower_express_session::accounts::AccountSession;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::logged_in::LoggedInAccount;
use super::state::Auth;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::http::{ClientIp, PathParameters, Problem};
use crate::input::{Documented, Given, Input, parameters};
use crate::storage::EventKind;
use crate::usecases::account_sessions;

/// The sessions of an account, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<ListedSession>,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedSession {
    /// The handle of the session, which is not its id.
    handle: String,
    /// The time of the login, in milliseconds since 1970.
    since: u64,
    last_seen: u64,
    device: String,
    address: String,
    current: bool,
}

/// The number of sessions that were ended at once. Others may be found by a search afterwards.
#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    pub(super) ended: usize,
}

parameters! {
    pub(super) struct HandlePath(()) {
        /// The handle that `GET /sessions` lists
        handle "handle" in Path: Handle;
    }
}

/// The handle of a session, which may not exist.
pub(super) struct Handle(pub(super) String);

impl Input for Handle {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text().map(|text| Self(text.to_owned()))
    }
}

impl Documented for Handle {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String)
    }
}

/// Lists the sessions of the account. Of the demo account, which visitors of the console share, it lists only the
/// session that asks.
#[utoipa::path(
    get, operation_id = "listSessions", path = "/sessions", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = Sessions), LoginNeeded, Problems),
)]
pub(super) async fn list(
    State(auth): State<Arc<Auth>>,
    LoggedInAccount { session, account, is_shared }: LoggedInAccount,
) -> Result<Json<Sessions>, Problem> {
    let Auth { account_sessions: sessions, session_search: search, .. } = &*auth;
    let sessions = account_sessions::list(sessions, search, &session, &account.email).await?;
    let current = session.id().handle();
    let is_shown = |listed: &AccountSession| !is_shared || listed.handle == current;
    let sessions = sessions.into_iter().filter(is_shown).collect();
    Ok(Json(Sessions::new(sessions, &current)))
}

/// Ends a session of the account; of the demo account, which visitors of the console share, only the session that asks.
#[utoipa::path(
    delete, operation_id = "endSession", path = "/sessions/{handle}", tag = "account",
    security(("session" = [])),
    params(HandlePath),
    responses(
        (status = 204, description = "The session has ended"),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
pub(super) async fn end(
    State(auth): State<Arc<Auth>>,
    ClientIp(address): ClientIp,
    visitor: LoggedInAccount,
    PathParameters(of): PathParameters<HandlePath>,
) -> Result<StatusCode, Problem> {
    visitor.expect_own_session(Some(&of.handle.0))?;
    let LoggedInAccount { session, account, .. } = visitor;
    let (sessions, handle) = (&auth.account_sessions, &of.handle.0);
    let has_ended = account_sessions::end(sessions, &session, &account.email, handle).await?;
    if !has_ended {
        return Err(Problem::missing("session"));
    }
    let detail = format!("session {handle}");
    auth.security.record(EventKind::SessionsRevoked, Some(account.id), address, Some(detail)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all other sessions of the account, unless it is the demo account, which visitors of the console share.
#[utoipa::path(
    delete, operation_id = "endOtherSessions", path = "/sessions", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = Ended), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn end_others(
    State(auth): State<Arc<Auth>>,
    ClientIp(address): ClientIp,
    visitor: LoggedInAccount,
) -> Result<Json<Ended>, Problem> {
    visitor.expect_own_session(None)?;
    let LoggedInAccount { session, account, .. } = visitor;
    let Auth { revocation, users, .. } = &*auth;
    let revoked = account_sessions::end_others(revocation, &**users, &session, &account).await?;
    let ended = revoked.number();
    if ended > 0 || revoked.may_be_more() {
        let (kind, detail) = (EventKind::SessionsRevoked, format!("{ended} sessions"));
        auth.security.record(kind, Some(account.id), address, Some(detail)).await;
    }
    Ok(Json(Ended { ended }))
}

impl Sessions {
    /// Returns the list. `current` is the handle of the session that asks.
    pub(super) fn new(sessions: Vec<AccountSession>, current: &str) -> Self {
        let sessions = sessions.into_iter().map(|session| ListedSession::new(session, current));
        Self { sessions: sessions.collect() }
    }
}

impl ListedSession {
    fn new(session: AccountSession, current: &str) -> Self {
        let AccountSession { handle, created_ms, last_seen_ms, device, address, .. } = session;
        let current = handle == current;
        Self { handle, since: created_ms, last_seen: last_seen_ms, device, address, current }
    }
}
