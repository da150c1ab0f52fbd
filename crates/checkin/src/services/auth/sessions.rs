//! An account's sessions: look at them, end them. They are named by handles, never by their ids.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use tower_express_session::Session;
use tower_express_session::accounts::AccountSession;
use utoipa::ToSchema;

use super::{Auth, SessionResult};
use crate::http::ApiError;
use crate::http::document::{Forbidden, LoginNeeded, Missing, Problems};
use crate::services::identity::account_of;

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
) -> Result<Json<Sessions>, ApiError> {
    let session = session?;
    let account = auth.account(&session).await?;
    let current = session.id().handle();
    let sessions = auth.sessions_with(&current, &account).await?;
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
) -> Result<StatusCode, ApiError> {
    let session = session?;
    let account = auth.account(&session).await?;
    if session.id().handle() == handle {
        // By itself, so that the browser's cookie goes as well.
        session.log_out().await?;
    } else if !auth.account_sessions.revoke(&account, &handle).await? {
        return Err(ApiError::NotFound);
    }
    Ok(StatusCode::NO_CONTENT)
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
) -> Result<Json<Ended>, ApiError> {
    let session = session?;
    let account = auth.account(&session).await?;
    Ok(Json(Ended { ended: auth.account_sessions.revoke_others(&account, &session.id()).await? }))
}

impl Auth {
    /// The name of the account that is logged in, if it is still there.
    async fn account(&self, session: &Session) -> Result<String, ApiError> {
        Ok(account_of(session, &*self.users).await?.email.canonical())
    }

    /// The account's sessions, the newest first. One that is not noted was made by an Express
    /// service, and it may not be the only one.
    async fn sessions_with(
        &self,
        current: &str,
        account: &str,
    ) -> Result<Vec<AccountSession>, ApiError> {
        let noted = self.account_sessions.list(account).await?;
        if noted.iter().any(|session| session.handle == current) {
            return Ok(noted);
        }
        let mut found = self.account_sessions.scan(account).await?;
        found.sort_by_key(|session| Reverse(session.created_ms));
        Ok(found)
    }
}

impl ListedSession {
    fn new(session: AccountSession, current: &str) -> Self {
        let AccountSession { handle, created_ms, last_seen_ms, device, address, .. } = session;
        let current = handle == current;
        Self { handle, since: created_ms, last_seen: last_seen_ms, device, address, current }
    }
}
