//! Refuses requests that another program could read differently, as far as hyper accepts them, and
//! those that go beyond what HTTP lets us refuse.

use axum::extract::Request;
use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Version};

use super::Problem;

/// The maximum length of a request's path and query: RFC 9112, 3, recommends at least 8000.
const MAX_TARGET_BYTES: usize = 8192;

/// The methods that are defined for HTTP in general. Routes that do not have one of them respond with
/// 405; other methods get 501. CONNECT is missing, because it is for proxies only.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"];

/// Checks what hyper does not: the method, the length of the target, `Host` and `Transfer-Encoding`.
/// hyper has already refused other lengths and encodings of the body, and characters that must not
/// be in a request.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    if !METHODS.contains(&request.method().as_str()) {
        let detail = "this service does not implement this method";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, detail).closing());
    }
    // The form for CONNECT (RFC 9112, 3.2.3): a host and no path.
    if request.uri().scheme().is_none() && request.uri().authority().is_some() {
        let detail = "the target must be a path or a URL";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail).closing());
    }
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET_BYTES) {
        let detail = format!("the path and the query must have at most {MAX_TARGET_BYTES} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, detail));
    }
    check_host(request.version(), request.headers())?;
    check_transfer_encoding(request.headers())
}

/// Requires one `Host` (RFC 9112, 3.2). HTTP/1.0 has none, and simple health checks use it.
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut lines = headers.get_all(HOST).iter();
    let is_right = match (lines.next(), lines.next()) {
        (Some(host), None) => host.is_empty() || is_host(host.as_bytes()),
        (None, _) => version == Version::HTTP_10,
        (Some(_), Some(_)) => false,
    };
    let problem = || {
        Problem::new(StatusCode::BAD_REQUEST, "not valid: Host")
            .field("Host", "must be given once, as a host or as host:port")
            .closing()
    };
    is_right.then_some(()).ok_or_else(problem)
}

fn is_host(text: &[u8]) -> bool {
    !text.contains(&b'@') && Authority::try_from(text).is_ok()
}

/// Accepts only `chunked`. hyper has checked that it is the last coding.
fn check_transfer_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut lines = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(first) = lines.next() else { return Ok(()) };
    if lines.next().is_none() && first.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let detail = "the only transfer coding must be chunked, once";
    Err(Problem::new(StatusCode::NOT_IMPLEMENTED, detail).closing())
}
