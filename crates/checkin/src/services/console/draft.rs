//! What somebody has typed for a check-in before a login was needed. A cookie keeps it for the page of that place.

use axum::response::Response;

use super::client::{Visitor, encoded};
use super::short_cookie::ShortCookie;

const COOKIE: &str = "checkin_draft";

/// How long a login may take, in seconds.
const LIFE: u32 = 600;

/// The maximum length of the cookie's value: browsers keep cookies of up to 4096 bytes.
const MAX_BYTES: usize = 3500;

/// A check-in without its stars, which are the buttons of the form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) comment: String,
    pub(super) is_private: bool,
}

impl Draft {
    /// Returns what the visitor has typed on the page of the place before.
    pub(super) fn of(visitor: &Visitor) -> Option<Self> {
        Self::read(&visitor.cookie(COOKIE)?)
    }

    fn read(text: &str) -> Option<Self> {
        let (kind, comment) = text.split_once('-')?;
        let is_private = match kind {
            "private" => true,
            "public" => false,
            _ => return None,
        };
        Some(Self { comment: comment.to_owned(), is_private })
    }

    fn written(&self) -> String {
        let kind = if self.is_private { "private" } else { "public" };
        // What is too long is refused anyway.
        let comment = encoded(&self.comment);
        let comment = if comment.len() > MAX_BYTES { "" } else { &comment };
        format!("{kind}-{comment}")
    }

    /// Keeps what was typed for the page of the place.
    pub(super) fn keep(&self, visitor: &Visitor, place: &str, mut response: Response) -> Response {
        let (value, path) = (&*self.written(), &*path(place));
        let cookie = ShortCookie { name: COOKIE, value, path, seconds: LIFE };
        cookie.set(&mut response, visitor.is_over_tls());
        response
    }

    /// Removes it from the browser.
    pub(super) fn forget(visitor: &Visitor, place: &str, mut response: Response) -> Response {
        let cookie = ShortCookie { name: COOKIE, value: "", path: &path(place), seconds: 0 };
        cookie.set(&mut response, visitor.is_over_tls());
        response
    }
}

fn path(place: &str) -> String {
    format!("/places/{}", encoded(place))
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    #[test]
    fn a_draft_is_read_as_it_was_written() {
        for (comment, is_private, kept) in [
            ("", false, ""),
            ("a; b, c=\u{1f600} \"-\"", true, "a; b, c=\u{1f600} \"-\""),
            (&"x".repeat(4000), false, ""),
        ] {
            let written = Draft { comment: comment.to_owned(), is_private }.written();
            assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b",;".contains(&byte)));
            let read = Draft::read(&percent_decode_str(&written).decode_utf8().unwrap());
            assert_eq!(read, Some(Draft { comment: kept.to_owned(), is_private }));
        }
        for text in ["", "public", "secret-a"] {
            assert_eq!(Draft::read(text), None, "{text}");
        }
    }
}
