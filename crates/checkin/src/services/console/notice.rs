//! What the next page says about a form that was accepted. A cookie carries it there, for a short time: an address
//! with it could be sent to somebody by anybody, but a link cannot set a cookie.

use std::fmt;

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::page::HTML;
use super::short_cookie::ShortCookie;
use crate::domain::StarRating;
use crate::http::{RequestOrigin, cookie};

/// The name of the cookie. `passkeys.js` sets it, too.
const COOKIE: &str = "checkin_notice";

/// How long a notice waits for the next page, in seconds.
const LIFE: u32 = 60;

/// A notice. As an extension of a response, it is shown on the next page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    PasswordChanged,
    PasswordReset,
    AudienceStored,
    SessionEnded,
    OtherSessionsEnded,
    SecondFactorChanged,
    AccountOpened,
    AccountDeleted,
    CheckedIn(StarRating),
    CheckinDeleted,
    SessionsEnded,
    AccountDisabled,
    AccountEnabled,
}
use Notice::{
    AccountDeleted, AccountDisabled, AccountEnabled, AccountOpened, AudienceStored, CheckedIn,
    CheckinDeleted, OtherSessionsEnded, PasswordChanged, PasswordReset, SecondFactorChanged,
    SessionEnded, SessionsEnded,
};

/// The notices with their names in the cookie and their texts, except that of a check-in.
const TEXTS: [(Notice, &str, &str); 12] = [
    (PasswordChanged, "password", "Your password is changed, and your other sessions have ended."),
    (PasswordReset, "reset", "Your password is changed. You can log in with it now."),
    (AudienceStored, "audience", "Your choice is stored."),
    (SessionEnded, "session", "The session has ended."),
    (OtherSessionsEnded, "other-sessions", "Your other sessions have ended."),
    (SecondFactorChanged, "second-factor", "Your second factor is changed."),
    (AccountOpened, "opened", "Your account is open. You can log in now."),
    (AccountDeleted, "deleted", "Your account is deleted."),
    (CheckinDeleted, "checkin", "The check-in is deleted. Your figures follow in a moment."),
    (SessionsEnded, "sessions", "All sessions of the account have ended."),
    (AccountDisabled, "disabled", "The account is disabled, and its sessions have ended."),
    (AccountEnabled, "enabled", "The account is enabled."),
];

/// The beginning of the name of a check-in's notice, before its stars.
const CHECKED_IN: &str = "checked-in-";

impl Notice {
    /// Returns the notice that a browser sends with the request for a page.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let name = cookie(headers, COOKIE).filter(|_| method == Method::GET)?;
        match name.strip_prefix(CHECKED_IN) {
            Some(stars) => Some(CheckedIn(stars.parse::<u64>().ok()?.try_into().ok()?)),
            None => TEXTS.iter().find(|(_, known, _)| *known == name).map(|(notice, ..)| *notice),
        }
    }

    fn name(self) -> String {
        let text = TEXTS.iter().find(|(notice, ..)| *notice == self).map(|(_, name, _)| *name);
        match self {
            CheckedIn(stars) => format!("{CHECKED_IN}{}", stars.get()),
            _ => text.unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = TEXTS.iter().find(|(notice, ..)| notice == self).map(|(.., text)| *text);
        match self {
            CheckedIn(stars) => {
                write!(f, "You have checked in. Your rating: {} of 5 stars.", stars.get())
            }
            _ => f.write_str(text.unwrap_or_default()),
        }
    }
}

/// Sends the notice of a response, and removes the one that a page has just shown.
pub(super) async fn carried(request: Request, next: Next) -> Response {
    let is_sent = request.method() == Method::GET && cookie(request.headers(), COOKIE).is_some();
    let over_tls = request.extensions().get().is_some_and(|origin: &RequestOrigin| origin.over_tls);
    let mut response = next.run(request).await;
    let is_page = response.headers().get(CONTENT_TYPE) == Some(&HTML);
    let (value, seconds) = match response.extensions_mut().remove::<Notice>() {
        Some(notice) => (notice.name(), LIFE),
        None if is_sent && is_page && response.status().is_success() => (String::new(), 0),
        None => return response,
    };
    let cookie = ShortCookie { name: COOKIE, value: &value, path: "/", seconds };
    cookie.set(&mut response, over_tls);
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn sent(method: &Method, value: &str) -> Option<Notice> {
        let value = HeaderValue::try_from(format!("{COOKIE}={value}")).unwrap();
        Notice::of(method, &HeaderMap::from_iter([(header::COOKIE, value)]))
    }

    #[test]
    fn only_known_notices_are_shown_and_only_on_the_next_page() {
        let stars = (0..=5).map(|stars: u64| CheckedIn(stars.try_into().unwrap()));
        for notice in TEXTS.iter().map(|(notice, ..)| *notice).chain(stars) {
            assert_eq!(sent(&Method::GET, &notice.name()), Some(notice));
            assert_eq!(sent(&Method::POST, &notice.name()), None);
            assert!(notice.to_string().ends_with('.'), "{notice:?}");
        }
        for name in ["", "hacked", "checked-in-6", "checked-in-", "checked-in-x"] {
            assert_eq!(sent(&Method::GET, name), None, "{name}");
        }
    }
}
