//! Cookies that carry something to the next page, for a short time.

use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

/// A cookie of the pages.
pub(super) struct ShortCookie<'a> {
    pub(super) name: &'static str,
    /// ASCII without blanks, commas and semicolons.
    pub(super) value: &'a str,
    /// The pages that get it.
    pub(super) path: &'a str,
    /// How long it lives; 0 removes it.
    pub(super) seconds: u32,
}

impl ShortCookie<'_> {
    /// Sets the cookie, with `Secure` like the session cookie.
    pub(super) fn set(&self, response: &mut Response, over_tls: bool) {
        let Self { name, value, path, seconds } = self;
        let secure = if over_tls { "; Secure" } else { "" };
        let line = format!(
            "{name}={value}; Max-Age={seconds}; Path={path}; HttpOnly{secure}; SameSite=Lax"
        );
        if let Ok(line) = HeaderValue::try_from(line) {
            response.headers_mut().append(SET_COOKIE, line);
        }
    }
}
