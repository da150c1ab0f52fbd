//! What the services answer to a visitor.

use axum::body::Bytes;
use axum::http::header::{LINK, SET_COOKIE};
use axum::http::{Extensions, HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;

use super::client::LOGIN;
use super::notice::Notice;
use crate::http::LoginPage;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// An answer of the services.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
    pub(super) body: Bytes,
}

/// A page of a list, and the cursor of the next one.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

impl Answer {
    /// Reads the body.
    pub(super) fn content<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Returns a header whose value is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the cursor of the next page: `Link: <…cursor=…>; rel="next"`.
    pub(super) fn cursor(&self) -> Option<String> {
        let link = self.header(&LINK)?;
        let (address, _) = link.strip_prefix('<')?.split_once('>')?;
        Some(address.split_once("cursor=")?.1.to_owned())
    }

    /// Returns the body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the first cookie that the services set.
    pub(super) fn first_cookie(&self) -> Option<&str> {
        self.header(&SET_COOKIE)
    }

    /// Redirects to a page, with the cookies that the services set, and what they let the browser remove.
    pub(super) fn redirect(self, page: &str) -> Response {
        self.set_cookies(Redirect::to(page).into_response())
    }

    /// Redirects to a page in the same way, which says what was done.
    pub(super) fn redirect_with(self, page: &str, notice: Notice) -> Response {
        let mut response = self.redirect(page);
        response.extensions_mut().insert(notice);
        response
    }

    /// Adds the cookies that the services set, and what they let the browser remove, to a response.
    pub(super) fn set_cookies(self, mut response: Response) -> Response {
        for name in [SET_COOKIE, CLEAR_SITE_DATA] {
            for value in self.headers.get_all(&name) {
                response.headers_mut().append(name.clone(), value.clone());
            }
        }
        // The cookie of the device is set on the way out.
        response.extensions_mut().extend(self.extensions);
        response.extensions_mut().insert(LoginPage(LOGIN));
        response
    }
}
