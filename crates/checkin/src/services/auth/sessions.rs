//! An account's sessions: look at them, end them. They are named by handles, never by their ids.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tower_express_session::{Session, SessionId};

use super::{Auth, SessionResult};
use crate::domain::{User, UserId};
use crate::http::{ApiError, ClientAddress};
use crate::services::identity::email_of;
use crate::storage::NotedSession;

/// So much of the User-Agent header is kept.
const MAX_DEVICE_CHARS: usize = 256;

/// The bytes of a handle: enough to tell all sessions of all accounts apart.
const HANDLE_BYTES: usize = 16;

/// An ended session's id is barred so long: an hour more than a session lives.
const BARRED: Duration = Duration::from_secs(25 * 3600);

#[derive(Serialize)]
pub(super) struct Sessions {
    sessions: Vec<ListedSession>,
}

#[derive(Serialize)]
struct ListedSession {
    handle: String,
    /// Milliseconds since 1970.
    since: u64,
    device: String,
    address: String,
    current: bool,
}

#[derive(Serialize)]
pub(super) struct Ended {
    ended: usize,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    Extension(address): Extension<ClientAddress>,
    session: SessionResult,
    headers: HeaderMap,
) -> Result<Json<Sessions>, ApiError> {
    let session = session?;
    let user = auth.account(&session).await?;
    let mut noted = auth.account_sessions.list(user.id, &user.email).await?;
    if !noted.iter().any(|noted| noted.id == session.id()) {
        // An Express service made it; from now on it is noted.
        auth.note(user.id, &session, &headers, address).await;
        noted.insert(0, describe(&session, &headers, address));
    }
    let sessions = noted.into_iter().map(|noted| ListedSession {
        handle: handle(&noted.id),
        since: noted.since_ms,
        device: noted.device,
        address: noted.address,
        current: noted.id == session.id(),
    });
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

pub(super) async fn end(
    State(auth): State<Auth>,
    session: SessionResult,
    Path(wanted): Path<String>,
) -> Result<StatusCode, ApiError> {
    let session = session?;
    let user = auth.account(&session).await?;
    if handle(&session.id()) == wanted {
        session.destroy().await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let noted = auth.account_sessions.list(user.id, &user.email).await?;
    let found = noted.iter().find(|noted| handle(&noted.id) == wanted).ok_or(ApiError::NotFound)?;
    auth.end(user.id, &found.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn end_others(
    State(auth): State<Auth>,
    session: SessionResult,
) -> Result<Json<Ended>, ApiError> {
    let session = session?;
    let user = auth.account(&session).await?;
    Ok(Json(Ended { ended: auth.end_all_but(&session, &user).await? }))
}

impl Auth {
    async fn account(&self, session: &Session) -> Result<User, ApiError> {
        let email = email_of(session)?;
        self.users.user_by_email(&email).await?.ok_or(ApiError::AuthenticationRequired)
    }

    /// Notes a session under its account. A login does not depend on it: what is missing in the
    /// index is found when it matters.
    pub(super) async fn note(
        &self,
        user: UserId,
        session: &Session,
        headers: &HeaderMap,
        address: ClientAddress,
    ) {
        let noted = describe(session, headers, address);
        if let Err(error) = self.account_sessions.note(user, &noted).await {
            tracing::warn!(%error, "cannot note a session under its account");
        }
    }

    /// Ends all of the account's sessions but this one, also those that Express services made.
    pub(super) async fn end_all_but(
        &self,
        session: &Session,
        user: &User,
    ) -> Result<usize, ApiError> {
        let mut ended = 0;
        for other in self.account_sessions.find(user.id, &user.email).await? {
            if other.id != session.id() {
                self.end(user.id, &other.id).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    async fn end(&self, user: UserId, id: &SessionId) -> Result<(), ApiError> {
        self.store.destroy(id, BARRED).await?;
        self.account_sessions.forget(user, id).await?;
        Ok(())
    }
}

fn describe(session: &Session, headers: &HeaderMap, address: ClientAddress) -> NotedSession {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NotedSession {
        id: session.id(),
        since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        device: agent.chars().take(MAX_DEVICE_CHARS).collect(),
        address: address.to_string(),
    }
}

/// What names a session in public: nobody can compute the id from it.
fn handle(id: &SessionId) -> String {
    let digest = Sha256::digest(id.as_str());
    URL_SAFE_NO_PAD.encode(&digest[..HANDLE_BYTES])
}
