//! The responses to requests that fail.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::input::BrokenRule;
use crate::telemetry::chain;
use crate::usecases::throttle::Quota;

/// The maximum number of errors in one response. A request may contain thousands.
const MAX_NAMED: usize = 10;

/// The maximum length of a field's name that is sent back, in characters. The name may come from
/// the client.
const MAX_NAME: usize = 64;

/// Each 401 must name an authentication scheme (RFC 9110, 11.6.1). Browsers ask for a password when
/// they see `Basic`, and ignore schemes that they do not know.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"checkin\"");

/// The response to a request that fails: a plain text where the contract fixes one, otherwise
/// `application/problem+json` (RFC 9457). The client sees the broken rule. The cause is logged
/// once, when the response is created.
///
/// Reasons that only one service has are constructed in that service.
#[derive(Debug)]
pub struct Problem {
    pub(super) status: StatusCode,
    content: Content,
    pub(super) errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    /// Whether the connection closes, because the next request on it may begin elsewhere.
    closes: bool,
    quota: Option<Box<Quota>>,
    /// What a problem of a type of its own has beside the others.
    extension: Option<Box<Extension>>,
    cause: Option<LoggedCause>,
}

#[derive(Debug)]
enum Content {
    /// A text that the contract fixes.
    Text(&'static str),
    /// The description of the error in a problem document.
    Detail(Cow<'static, str>),
}

/// The type of a problem, and its own members (RFC 9457, section 3.2).
#[derive(Debug)]
struct Extension {
    kind: &'static str,
    members: Map<String, Value>,
}

/// The error to log, with the message of the log line.
#[derive(Debug)]
struct LoggedCause {
    message: &'static str,
    error: Box<dyn Error + Send + Sync>,
}

/// A field of a request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's name as it was sent, cut after 64 characters, without control characters.
    pub field: String,
    /// The rule that the field must follow: "must …".
    pub rule: String,
}

impl FieldError {
    /// Creates an error with the name of a field and the rule that it breaks.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        let field: String = field.into();
        let field = field.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        Self { field, rule: rule.into() }
    }
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDetails<'a> {
    /// `about:blank`, unless the documentation of the request names another type.
    r#type: &'static str,
    /// The meaning of the status.
    title: &'static str,
    /// The status.
    status: u16,
    /// A description of this error.
    detail: &'a str,
    /// The parameters or fields that break a rule, the first ten of them.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// The members of problems of this type.
    #[serde(flatten)]
    #[schema(ignore)]
    members: Option<&'a Map<String, Value>>,
}

impl Problem {
    /// Creates a problem document of this status. `detail` describes this error.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let content = Content::Detail(detail.into());
        Self {
            status,
            content,
            errors: Vec::new(),
            retry_after: None,
            quota: None,
            closes: false,
            extension: None,
            cause: None,
        }
    }

    /// Creates a response whose text the contract fixes.
    #[must_use]
    pub fn text(status: StatusCode, text: &'static str) -> Self {
        Self { content: Content::Text(text), ..Self::new(status, "") }
    }

    /// Gives the problem a type of its own, with its own members.
    #[must_use]
    pub fn of_type(self, kind: &'static str, members: Map<String, Value>) -> Self {
        Self { extension: Some(Box::new(Extension { kind, members })), ..self }
    }

    /// Adds a field and the rule that it breaks.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, rule: impl Into<String>) -> Self {
        self.errors.push(FieldError::new(name, rule));
        self
    }

    /// Sets `Retry-After`, rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        Self { retry_after: Some(time), ..self }
    }

    /// Closes the connection after the response.
    #[must_use]
    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// Tells the client how much of a limit is left.
    #[must_use]
    pub fn limited_by(self, quota: Option<Quota>) -> Self {
        Self { quota: quota.map(Box::new), ..self }
    }

    /// Logs this error with this message when the response is created.
    #[must_use]
    pub fn caused_by(
        self,
        message: &'static str,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { cause: Some(LoggedCause { message, error: error.into() }), ..self }
    }

    /// Returns the fields that break a rule, the first ten of them.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// Returns 400: fields, parameters or headers of the request break a rule.
    pub(crate) fn invalid(broken: Vec<BrokenRule>) -> Self {
        // The route lacks a part of the path that its parameters declare.
        if broken.is_empty() {
            return Self::internal();
        }
        let more = broken.len().saturating_sub(MAX_NAMED);
        let named = broken.into_iter().take(MAX_NAMED);
        let errors: Vec<_> =
            named.map(|broken| FieldError::new(broken.field, broken.rule)).collect();
        let names: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let names = names.join(", ");
        let detail = match more {
            0 => format!("not valid: {names}"),
            more => format!("not valid: {names} and {more} more"),
        };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// Returns 403: a page of another site sent the request.
    #[must_use]
    pub fn cross_site() -> Self {
        Self::new(StatusCode::FORBIDDEN, "a page of another site may not do this")
    }

    /// Returns 404: there is no such route.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no resource at this path")
    }

    /// Returns 404: the route exists, but what the request names does not. `what` is a noun, such as `location`.
    #[must_use]
    pub fn missing(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// Returns 405: the route exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not support this method")
    }

    /// Returns 429: the client has used up this quota.
    #[must_use]
    pub fn too_many(quota: Quota) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many attempts; try again later")
            .retry_after(quota.wait)
            .limited_by(Some(quota))
    }

    /// Returns 500.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "an internal error occurred and has been logged";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// Returns 408.
    pub(super) fn timed_out() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the request took too long")
    }

    /// Returns 503: too many requests of this kind run at the same time.
    #[must_use]
    pub fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests of this kind run at the same time; try again later",
        )
        .retry_after(Duration::from_secs(1))
    }

    /// Returns 503: the store does not respond.
    #[must_use]
    pub fn store_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store is unavailable; try again later")
            .retry_after(Duration::from_secs(1))
    }

    /// Returns 503: the service stops soon.
    #[must_use]
    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping")
            .retry_after(Duration::from_secs(1))
    }

    /// Returns 503: the service cannot use its store yet, or not at the moment, for this reason.
    #[must_use]
    pub fn not_ready(reason: impl fmt::Display) -> Self {
        let detail = format!("the store is unavailable: {reason}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(Duration::from_secs(1))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(LoggedCause { message, error }) = &self.cause {
            tracing::error!(cause = %chain(&**error), "{message}");
        }
        let mut response = match self.content {
            Content::Text(text) => (self.status, text).into_response(),
            Content::Detail(detail) => {
                document(self.status, &detail, &self.errors, self.extension.as_deref())
            }
        };
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(time) = self.retry_after {
            let seconds = time.as_millis().div_ceil(1000).max(1);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds as u64));
        }
        if let Some(quota) = self.quota {
            quota.append_to(headers);
        }
        response
    }
}

fn document(
    status: StatusCode,
    detail: &str,
    errors: &[FieldError],
    extension: Option<&Extension>,
) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let status_code = status.as_u16();
    let kind = extension.map_or("about:blank", |extension| extension.kind);
    let members = extension.map(|extension| &extension.members);
    let details =
        ProblemDetails { r#type: kind, title, status: status_code, detail, errors, members };
    let json = HeaderValue::from_static("application/problem+json");
    (status, [(CONTENT_TYPE, json)], Json(details)).into_response()
}

/// Adds a body to an error response that has none.
pub(super) fn with_body(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let (filled, body) = document(status, "", &[], None).into_parts();
    // The length of the empty body.
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(filled.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_names_a_few_errors_and_counts_the_others() {
        let error =
            |at| BrokenRule { field: format!("field{at}"), rule: "must be known".to_owned() };
        for (count, end) in [(1, "field0"), (10, "field9"), (322, "field9 and 312 more")] {
            let problem = Problem::invalid((0..count).map(error).collect());
            assert_eq!(problem.errors.len(), count.min(MAX_NAMED));
            let Content::Detail(detail) = &problem.content else { panic!("{problem:?}") };
            assert!(detail.ends_with(end), "{detail}");
        }
    }

    #[test]
    fn long_names_are_cut() {
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
