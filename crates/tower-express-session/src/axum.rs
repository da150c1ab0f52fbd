//! The extractors for axum.

use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::accounts::AccountSessions;
use crate::error::{Error, ErrorKind};
use crate::failure::{EmptyResponse, Failure, OnFailure as _};
use crate::lazy::LazySession;
use crate::session::Session;

impl<S: Sync> FromRequestParts<S> for LazySession {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get().cloned().ok_or_else(|| ErrorKind::NoLayer.into())
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.session().await
    }
}

/// The session as an argument of a handler, read from the store and not from a cache:
/// [`LazySession::fresh`].
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
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        lazy.fresh().await.map(Self)
    }
}

/// The handle of a layer that was built with
/// [`account_sessions`](crate::SessionLayerBuilder::account_sessions).
impl<S: Sync> FromRequestParts<S> for AccountSessions {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let lazy = LazySession::from_request_parts(parts, state).await?;
        let accounts = lazy.context().accounts().cloned();
        accounts.ok_or_else(|| {
            Error::new(ErrorKind::NoLayer, "the layer must be built with account_sessions")
        })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log("session failed");
        let mut response = EmptyResponse.respond(&self);
        // The layer may replace this response.
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}
