//! An account's sessions: look at them, end them. They are named by handles, never by their ids.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use tower_express_session::accounts::AccountSession;
use utoipa::ToSchema;

use super::routes::{Auth, SessionResult};
use crate::http::Problem;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::usecases::account_sessions;
use crate::usecases::accounts::account_of;

/// An account's sessions, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<ListedSession>,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedSession {
    /// Names the session here; never its id.
    handle: String,
    /// Milliseconds since 1970, as is the next.
    since: u64,
    last_seen: u64,
    device: String,
    address: String,
    current: bool,
}

/// How many sessions have ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    ended: usize,
}

/// The account's sessions.
#[utoipa::path(
    get, operation_id = "listSessions", path = "/sessions", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = Sessions), LoginNeeded, Problems),
)]
pub(super) async fn list(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<Sessions>, Problem> {
    let session = session?;
    let account = account_of(&session, &*auth.users).await?;
    let sessions = account_sessions::list(&auth.account_sessions, &session, &account.email).await?;
    let current = session.id().handle();
    let sessions = sessions.into_iter().map(|session| ListedSession::new(session, &current));
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// Ends a session of the account.
#[utoipa::path(
    delete, operation_id = "endSession", path = "/sessions/{handle}", tag = "account",
    security(("session" = [])),
    params(("handle" = String, Path, description = "As `GET /sessions` lists it")),
    responses(
        (status = 204, description = "It has ended"),
        LoginNeeded, Forbidden, Missing, Problems,
    ),
)]
pub(super) async fn end(
    State(auth): State<Auth>,
    session: SessionResult,
    Path(handle): Path<String>,
) -> Result<StatusCode, Problem> {
    let session = session?;
    let account = account_of(&session, &*auth.users).await?;
    let sessions = &auth.account_sessions;
    let has_ended = account_sessions::end(sessions, &session, &account.email, &handle).await?;
    if has_ended { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found()) }
}

/// Ends every session of the account but this one.
#[utoipa::path(
    delete, operation_id = "endOtherSessions", path = "/sessions", tag = "account",
    security(("session" = [])),
    responses((status = 200, body = Ended), LoginNeeded, Forbidden, Problems),
)]
pub(super) async fn end_others(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<Ended>, Problem> {
    let session = session?;
    let account = account_of(&session, &*auth.users).await?;
    let sessions = &auth.account_sessions;
    let ended = account_sessions::end_others(sessions, &session, &account.email).await?;
    Ok(Json(Ended { ended }))
}

impl ListedSession {
    fn new(session: AccountSession, current: &str) -> Self {
        let AccountSession { handle, created_ms, last_seen_ms, device, address, .. } = session;
        let current = handle == current;
        Self { handle, since: created_ms, last_seen: last_seen_ms, device, address, current }
    }
}
