//! Responses to requests whose store or session fails.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tower_express_session::{Error as SessionError, ErrorKind};

use super::Problem;
use crate::storage::StorageError;

/// A function that returns the response to a request whose session failed, such as
/// [`session_failed`].
pub type OnFailure = fn(&SessionError) -> Response;

/// Returns the response to a request whose session cannot be read or stored. The failure has been
/// logged already.
pub fn session_failed(error: &SessionError) -> Response {
    match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => Problem::store_unavailable(),
        status => Problem::new(status, ""),
    }
    .into_response()
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        // The store has logged the failure once.
        if error.is_unreadable() {
            return Self::internal();
        }
        if error.is_used_up() {
            let reason = "the log takes no more entries; an operator must repair it, and `checkin \
                          doctor` says how";
            return Self::not_ready(reason).caused_by("the log takes no more entries", error);
        }
        match error.is_logged() {
            true => Self::store_unavailable(),
            false => Self::store_unavailable().caused_by("the store failed", error),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Store | ErrorKind::Conflict => {
                match error.is_logged() {
                    true => Self::store_unavailable(),
                    false => Self::store_unavailable().caused_by("the store failed", error),
                }
            }
            _ => Self::internal().caused_by("the session failed", error),
        }
    }
}
