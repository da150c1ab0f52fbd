//! The cookie of a device that has logged in before.

use std::fmt;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use crate::usecases::devices::LIFETIME;

const NAME: &str = "checkin_device";

/// The value of a device cookie. As an extension of a response, the middleware stack sets it behind the
/// session cookie, which programs expect first.
#[derive(Clone)]
pub struct DeviceCookie(pub String);

/// The path of a page with a form for logins. As an extension of a response, it makes the device's cookie be set
/// for this path, too.
#[derive(Clone, Copy, Debug)]
pub struct LoginPage(pub &'static str);

impl DeviceCookie {
    /// Returns the cookie that a request sends. Only the first one counts.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        cookie(headers, NAME).map(|value| Self(value.to_owned()))
    }

    /// Sets the cookie of a response that has one, with `Secure` like the session cookie.
    pub(super) fn set(response: &mut Response, over_tls: bool) {
        let Some(Self(value)) = response.extensions_mut().remove() else { return };
        let page = response.extensions_mut().remove().map(|LoginPage(path)| path);
        let (age, secure) = (LIFETIME.as_secs(), if over_tls { "; Secure" } else { "" });
        for path in [Some("/login"), page].into_iter().flatten() {
            let line = format!(
                "{NAME}={value}; Max-Age={age}; Path={path}; HttpOnly{secure}; SameSite=Lax"
            );
            if let Ok(line) = HeaderValue::try_from(line) {
                response.headers_mut().append(SET_COOKIE, line);
            }
        }
    }
}

/// Returns the value of the first cookie with this name that a request sends.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

impl fmt::Debug for DeviceCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceCookie(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_the_name_is_read() {
        for (lines, expected) in [
            (&["checkin_device=a"][..], Some("a")),
            (&["checkinapp=s%3Ax; checkin_device=a; checkin_device=b"], Some("a")),
            (&["x=1", " checkin_device = a "], Some("a")),
            (&["checkin_device"], None),
            (&["xcheckin_device=a; Checkin_device=b"], None),
            (&[], None),
        ] {
            let lines = lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line)));
            let mut headers = HeaderMap::new();
            for (name, line) in lines {
                headers.append(name, line);
            }
            let read = DeviceCookie::of(&headers).map(|cookie| cookie.0);
            assert_eq!(read.as_deref(), expected, "{headers:?}");
        }
    }
}
