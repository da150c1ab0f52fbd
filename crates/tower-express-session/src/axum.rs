//! The extractors for axum.

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use http::request::Parts;

use crate::error::Error;
use crate::lazy::LazySession;
use crate::service::{RETRY_AFTER_SECONDS, status};
use crate::session::Session;

/// Why a handler got no session. As a response 500 for [`NoLayer`](Self::NoLayer), which is a bug, and
/// that of the [`Error`] for [`Failed`](Self::Failed).
///
/// Take `Result<Session, SessionRejection>` as an argument to answer otherwise:
///
/// ```
/// use tower_express_session::{Error, Session, SessionRejection};
///
/// async fn page(session: Result<Session, SessionRejection>) -> Result<String, Error> {
///     match session {
///         Ok(session) => Ok(session.get("user")?.unwrap_or_default()),
///         Err(_) => Ok("we are having trouble; your login is safe".to_owned()),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// The route has no [`SessionLayer`](crate::SessionLayer), or its path lies outside the
    /// cookie's.
    NoLayer,
    /// The session could not be loaded.
    Failed(Error),
}

impl<S: Sync> FromRequestParts<S> for LazySession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or(SessionRejection::NoLayer)
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.session().await.map_err(SessionRejection::Failed)
    }
}

/// The session as the store itself holds it, past any cache: [`LazySession::fresh`] as an argument.
///
/// ```
/// use tower_express_session::{Error, FreshSession};
///
/// async fn change_password(FreshSession(session): FreshSession) -> Result<(), Error> {
///     let user: Option<String> = session.get("user")?;
///     # Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct FreshSession(pub Session);

impl<S: Sync> FromRequestParts<S> for FreshSession {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.fresh().await.map(Self).map_err(SessionRejection::Failed)
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::NoLayer => {
                tracing::error!("a handler wants a session, but no session layer covers its route");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
            Self::Failed(error) => error.into_response(),
        }
    }
}

impl IntoResponse for Error {
    /// 503 with `Retry-After` when the store is away, 500 otherwise; the cause goes to the log.
    fn into_response(self) -> Response {
        let status = status(self.kind());
        self.log("session failed");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return (status, [(RETRY_AFTER, RETRY_AFTER_SECONDS)]).into_response();
        }
        status.into_response()
    }
}
