//! The response to a request whose session failed.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::error::Error;

/// The value of `Retry-After`: long enough for a fail-over to make progress, short enough for a
/// person to wait.
pub(crate) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Creates the response to a request whose session cannot be read or stored.
///
/// Every function from `&Error` to a response implements it; see
/// [`on_failure`](crate::SessionLayerBuilder::on_failure).
pub trait OnFailure<B> {
    /// Returns the response.
    fn respond(&self, error: &Error) -> Response<B>;

    /// Returns the response to send when a handler returned the error as its response.
    #[doc(hidden)]
    fn replace(&self, _response: Response<B>, error: &Error) -> Response<B> {
        self.respond(error)
    }
}

/// The response of a layer without [`on_failure`](crate::SessionLayerBuilder::on_failure): the
/// error's [status](Error::status) with an empty body, and `Retry-After` for a 503.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyResponse;

/// A response extension: the error that a handler returned as its response. The layer reads it.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Arc<Error>);

impl<B, F: Fn(&Error) -> Response<B>> OnFailure<B> for F {
    fn respond(&self, error: &Error) -> Response<B> {
        self(error)
    }
}

impl<B: Default> OnFailure<B> for EmptyResponse {
    fn respond(&self, error: &Error) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }

    fn replace(&self, response: Response<B>, _error: &Error) -> Response<B> {
        response
    }
}
