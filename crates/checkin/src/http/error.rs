//! Every answer that is not a success.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower_express_session::Error as SessionError;
use utoipa::ToSchema;

use crate::passwords::Busy;
use crate::storage::StorageError;

/// Errors that one answer names. There may be thousands, as many as a client cares to send.
const MAX_NAMED: usize = 10;

/// The longest name of a field that is sent back, in characters: the name may be the client's.
const MAX_NAME: usize = 64;

const STORE_UNAVAILABLE: &str = "the store is not available; try again later";

/// Each 401 must name a way to log in (RFC 9110, 11.6.1). Browsers ask for a password when they see
/// `Basic`, and ignore a scheme that they do not know.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"checkin\"");

/// What a service answers when it does not do what was asked: a plain text where the contract names
/// one, `application/problem+json` (RFC 9457) otherwise. The client sees the rule; the log sees the
/// cause, once, here.
#[derive(Debug)]
pub enum ApiError {
    /// 401 `Authentication required.`
    AuthenticationRequired,
    /// 401 `Invalid login.`
    InvalidLogin,
    /// 422 `Multiple identical checkins are not permitted.`
    IdenticalCheckin,
    /// 400: fields of the body that break a rule, or a header that does.
    Invalid(Vec<FieldError>),
    /// 400: the body is not a JSON object.
    Malformed(String),
    /// 403: the body names another user than the session.
    NotYourself,
    /// 403: it is another user's, and theirs alone.
    NotYours,
    /// 403: a page of another site sent the request.
    CrossSite,
    /// 403: a browser sent the request ahead of its user.
    Prefetch,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408: the request took too long.
    TookTooLong,
    /// 409: the address has an account.
    EmailTaken,
    /// 413: the body is longer than this many bytes.
    TooLarge(usize),
    /// 415: the body does not say that it is JSON.
    NotJson,
    /// 415: the body is in another charset than UTF-8.
    NotUtf8,
    /// 422: there is no such place, or user.
    Unknown(&'static str),
    /// 422: the idempotency key came with another body before.
    KeyReused,
    /// 429: try again after this time.
    TooMany(Duration),
    /// 503: the store is away.
    StoreAway(Box<dyn Error + Send + Sync>),
    /// 503: the service cannot use its store yet, or now, for this reason.
    NotReady(String),
    /// 503: the processors are too far behind the log.
    Behind,
    /// 503: too much work of this kind at once.
    Busy,
    /// 503: the service was started without a key for the weather service.
    NoWeatherKey,
    /// 503: the weather service cannot be reached.
    WeatherAway,
    /// 502: the weather service answered something else.
    WeatherUnknown,
    /// 500.
    Internal,
}

/// A field of a request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name as it was sent, cut after 64 characters, without control characters.
    pub field: String,
    /// The rule, as what the field must be: "must …".
    pub rule: String,
}

impl FieldError {
    /// Names a field and the rule that it breaks.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        let field: String = field.into();
        let field = field.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        Self { field, rule: rule.into() }
    }
}

/// What is wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// Always `about:blank`.
    r#type: &'static str,
    /// What the status means.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong this time.
    detail: &'a str,
    /// The parameters or fields that are to blame, the first ten of them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::AuthenticationRequired | Self::InvalidLogin => StatusCode::UNAUTHORIZED,
            Self::Invalid(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotYourself | Self::NotYours | Self::CrossSite | Self::Prefetch => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TookTooLong => StatusCode::REQUEST_TIMEOUT,
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson | Self::NotUtf8 => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdenticalCheckin | Self::Unknown(_) | Self::KeyReused => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::StoreAway(_)
            | Self::NotReady(_)
            | Self::Behind
            | Self::Busy
            | Self::NoWeatherKey
            | Self::WeatherAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::WeatherUnknown => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The texts that the contract fixes.
    fn plain_text(&self) -> Option<&'static str> {
        match self {
            Self::AuthenticationRequired => Some("Authentication required."),
            Self::InvalidLogin => Some("Invalid login."),
            Self::IdenticalCheckin => Some("Multiple identical checkins are not permitted."),
            _ => None,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Invalid(errors) => {
                let named = errors.iter().take(MAX_NAMED).map(|error| error.field.as_str());
                let names = named.collect::<Vec<_>>().join(", ");
                match errors.len().saturating_sub(MAX_NAMED) {
                    0 => format!("not valid: {names}"),
                    more => format!("not valid: {names} and {more} more"),
                }
            }
            Self::Malformed(what) => what.clone(),
            Self::NotYourself => "the session belongs to another user than userId names".to_owned(),
            Self::NotYours => "this is for the user themself alone".to_owned(),
            Self::CrossSite => "a page of another site may not do this".to_owned(),
            Self::Prefetch => "a browser may not do this ahead of its user".to_owned(),
            Self::NotFound => "there is nothing at this address".to_owned(),
            Self::MethodNotAllowed => "this address does not take this method".to_owned(),
            Self::TookTooLong => "the request took too long".to_owned(),
            Self::EmailTaken => "there is an account with this e-mail address".to_owned(),
            Self::TooLarge(limit) => format!("the body must have at most {limit} bytes"),
            Self::NotJson => {
                "the body must be JSON, with one content type: application/json".to_owned()
            }
            Self::NotUtf8 => "the charset of the body must be UTF-8".to_owned(),
            Self::Unknown(what) => format!("there is no such {what}"),
            Self::KeyReused => "the Idempotency-Key came with another check-in before".to_owned(),
            Self::TooMany(_) => "too many attempts; try again later".to_owned(),
            Self::StoreAway(_) => STORE_UNAVAILABLE.to_owned(),
            Self::NotReady(reason) => format!("the store is unavailable: {reason}"),
            Self::Behind => "too many check-ins wait to be counted; try again later".to_owned(),
            Self::Busy => "too many requests of this kind at once; try again later".to_owned(),
            Self::NoWeatherKey => {
                "there is no weather: no key for the weather service is set".to_owned()
            }
            Self::WeatherAway => "the weather service cannot be reached".to_owned(),
            Self::WeatherUnknown => {
                "the weather service did not answer with the weather".to_owned()
            }
            Self::Internal => "something went wrong here; it has been logged".to_owned(),
            Self::AuthenticationRequired | Self::InvalidLogin | Self::IdenticalCheckin => {
                String::new()
            }
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(errors) => errors.iter().take(MAX_NAMED).cloned().collect(),
            Self::NotYourself => vec![FieldError::new("userId", "must be the user of the session")],
            Self::Unknown("location") => {
                vec![FieldError::new("locationId", "must be the id of a place")]
            }
            Self::Unknown(_) => vec![FieldError::new("userId", "must be the id of an account")],
            Self::EmailTaken => {
                vec![FieldError::new("email", "must not belong to an existing account")]
            }
            Self::KeyReused => {
                vec![FieldError::new("Idempotency-Key", "must be a new one for each check-in")]
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(time) => Some(*time),
            Self::StoreAway(_) | Self::NotReady(_) | Self::Busy => Some(Duration::from_secs(1)),
            Self::WeatherAway | Self::WeatherUnknown => Some(Duration::from_secs(10)),
            // Processors that are at work get rid of some ten thousand a second.
            Self::Behind => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::StoreAway(cause) = &self
            && !is_logged(&**cause)
        {
            tracing::error!(cause = %chain(&**cause), "the store failed");
        }
        let status = self.status();
        let mut response = match self.plain_text() {
            Some(text) => (status, text).into_response(),
            None => problem(status, &self.detail(), &self.fields()),
        };
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        if let Some(time) = self.retry_after() {
            let seconds = time.as_millis().div_ceil(1000).max(1);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds as u64));
        }
        response
    }
}

/// Whether the store logs the outage by itself.
fn is_logged(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref::<StorageError>().is_some_and(StorageError::is_logged)
        || cause.downcast_ref::<SessionError>().is_some_and(SessionError::is_logged)
}

fn problem(status: StatusCode, detail: &str, errors: &[FieldError]) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail, errors };
    let json = HeaderValue::from_static("application/problem+json");
    (status, [(CONTENT_TYPE, json)], Json(problem)).into_response()
}

/// What answers a request whose session failed, such as [`session_failed`].
pub type OnFailure = fn(&SessionError) -> Response;

/// The answer to a request whose session cannot be read or stored, which is in the log already.
pub fn session_failed(error: &SessionError) -> Response {
    let status = error.status();
    if status != StatusCode::SERVICE_UNAVAILABLE {
        return problem(status, "", &[]);
    }
    let mut response = problem(status, STORE_UNAVAILABLE, &[]);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Gives a body to the errors that a layer further in answers without one, as the time-out does.
pub(super) async fn fill_empty(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let mut filled = problem(status, "", &[]);
    for (name, value) in response.headers() {
        filled.headers_mut().append(name, value.clone());
    }
    filled
}

/// An error and what caused it, on one line; a cause that the line says already is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line += ": ";
            line += &text;
        }
        cause = error.source();
    }
    line
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        // The store has logged it, once.
        if error.is_unreadable() {
            return Self::Internal;
        }
        if error.is_used_up() {
            tracing::error!(cause = %chain(&error), "the log takes no more entries");
            let reason = "the log takes no more entries; an operator must repair it, and `checkin \
                          doctor` says how";
            return Self::NotReady(reason.to_owned());
        }
        Self::StoreAway(Box::new(error))
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        use tower_express_session::ErrorKind::{Conflict, Store, Unavailable};
        match error.kind() {
            Unavailable | Store | Conflict => Self::StoreAway(Box::new(error)),
            _ => {
                tracing::error!(cause = %chain(&error), "the session failed");
                Self::Internal
            }
        }
    }
}

impl From<Busy> for ApiError {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_a_few_errors_and_counts_the_others() {
        let error = |at| FieldError::new(format!("field{at}"), "must be known");
        for (count, end) in [(1, "field0"), (10, "field9"), (322, "field9 and 312 more")] {
            let errors = ApiError::Invalid((0..count).map(error).collect());
            assert_eq!(errors.fields().len(), count.min(MAX_NAMED));
            assert!(errors.detail().ends_with(end), "{}", errors.detail());
        }
    }

    #[test]
    fn a_name_is_cut() {
        for (name, shown) in [
            ("", String::new()),
            ("a\u{0}\n\u{85}b", "ab".to_owned()),
            (&"x".repeat(65_000), "x".repeat(MAX_NAME)),
            (&"\u{1f600}".repeat(65_000), "\u{1f600}".repeat(MAX_NAME)),
        ] {
            assert_eq!(FieldError::new(name, "must be shorter").field, shown);
        }
    }
}
