//! Asks the routes of the services on behalf of a visitor.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, IF_NONE_MATCH,
    TRANSFER_ENCODING,
};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;
use tower_express_session::request::ClientAddress;

use super::answer::{Answer, Listed};
use super::notice::Notice;
use super::refusal::Refusal;
use super::routes::Console;
use super::views::{Account, OwnAccount, Place};
use crate::http::{RequestOrigin, cookie};
use crate::usecases::demo_account::DemoAccount;

/// The page of the login.
pub(super) const LOGIN: &str = "/log-in";

/// The maximum length of an answer of the services, far above that of the longest list.
pub(super) const MAX_ANSWER: usize = 1 << 20;

/// The headers of a page's request that do not hold for the requests to the services.
const OF_THE_PAGE: [HeaderName; 6] =
    [ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH, TRANSFER_ENCODING];

/// A visitor of the pages. The services see the visitor's own request: the cookie, the address and the limits.
pub(super) struct Visitor {
    services: Router,
    headers: HeaderMap,
    extensions: Extensions,
    /// The account that visitors share.
    demo: Option<Arc<DemoAccount>>,
    /// The address of the page.
    page: String,
    /// What the page says about the form before it.
    pub(super) notice: Option<Notice>,
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Infallible> {
        let mut headers = parts.headers.clone();
        for name in OF_THE_PAGE {
            headers.remove(name);
        }
        let page = match parts.method {
            Method::GET => parts.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned(),
            // A form cannot be sent again from here, but its page can be shown.
            _ if parts.uri.path() == "/me/checkins/delete" => "/me".to_owned(),
            _ if parts.uri.path().starts_with("/me/") => "/me/account".to_owned(),
            _ if parts.uri.path() == "/walk-through" => "/".to_owned(),
            _ if parts.uri.path() == "/log-in/reset" => "/password/reset".to_owned(),
            _ if parts.uri.path() == "/sign-up/confirm" => "/register/confirm".to_owned(),
            _ => parts.uri.path().to_owned(),
        };
        // Not all of them: the parameters of the page's own path are there, too.
        let mut extensions = Extensions::new();
        if let Some(origin) = parts.extensions.get::<RequestOrigin>() {
            extensions.insert(*origin);
        }
        if let Some(address) = parts.extensions.get::<ClientAddress>() {
            extensions.insert(*address);
        }
        let notice = Notice::of(&parts.method, &headers);
        let Console { services, demo, .. } = console.clone();
        Ok(Self { services, headers, extensions, demo, page, notice })
    }
}

impl Visitor {
    /// Returns the account of the visitor, if the visitor is logged in.
    pub(super) async fn account(&self) -> Result<Option<Account>, Refusal> {
        if !self.headers.contains_key(COOKIE) {
            return Ok(None);
        }
        match self.get::<OwnAccount>("/session").await {
            Ok(OwnAccount { user }) => Ok(Some(user)),
            Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Returns the account of a visitor who must be logged in.
    pub(super) async fn own_account(&self) -> Result<Account, Refusal> {
        self.get::<OwnAccount>("/session").await.map(|own| own.user)
    }

    /// Returns whether this is the demo account, and visitors share it. If that cannot be read, the routes decide.
    pub(super) async fn shares(&self, account: &Account) -> bool {
        let Some(demo) = &self.demo else { return false };
        demo.id().await.ok().flatten().is_some_and(|id| id.get() == account.id)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        let answer = self.send(Method::GET, path, None).await?;
        self.read(&answer)
    }

    /// Returns a page of a list. `path` has a query.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Listed<T>, Refusal> {
        let answer = self.send(Method::GET, path, None).await?;
        Ok(Listed { items: self.read(&answer)?, next: answer.cursor() })
    }

    /// Returns a list that a page can do without: `None` if the visitor has looked at too many.
    pub(super) async fn side_list<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<Vec<T>>, Refusal> {
        match self.list(path).await {
            Ok(listed) => Ok(Some(listed.items)),
            Err(refusal) if refusal.status == StatusCode::TOO_MANY_REQUESTS => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Returns the most visited places, and whether they are those of this week: with too few of them, they are those of
    /// all time.
    pub(super) async fn popular(&self, limit: usize) -> Result<(Vec<Place>, bool), Refusal> {
        let places = "/api/locations/bycheckins";
        let week: Listed<Place> = self.list(&format!("{places}?period=week&limit={limit}")).await?;
        if week.items.len() >= limit {
            return Ok((week.items, true));
        }
        let all: Listed<Place> = self.list(&format!("{places}?limit={limit}")).await?;
        Ok((all.items, false))
    }

    /// Sends a request to the services. An answer of 400 and above is a refusal.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Refusal> {
        let answer = self.ask(method, path, body).await?;
        match answer.status.as_u16() {
            400.. => Err(Refusal::of(&answer, &self.page)),
            _ => Ok(answer),
        }
    }

    /// Sends a body to the services, and returns the answer with its content.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<(Answer, T), Refusal> {
        let answer = self.send(Method::POST, path, Some(body)).await?;
        let content = self.read(&answer)?;
        Ok((answer, content))
    }

    /// Sends a request to the services, and returns what they answer, also if they refuse it.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Refusal> {
        self.answer(method, path, body).await.ok_or_else(|| self.internal())
    }

    /// Returns the same visitor without any cookie.
    pub(super) fn without_cookies(&self) -> Self {
        let (services, extensions) = (self.services.clone(), self.extensions.clone());
        let (mut headers, demo) = (self.headers.clone(), self.demo.clone());
        headers.remove(COOKIE);
        Self { services, headers, extensions, demo, page: self.page.clone(), notice: None }
    }

    /// Returns whether the visitor's connection is over TLS.
    pub(super) fn is_over_tls(&self) -> bool {
        self.extensions.get().is_some_and(|origin: &RequestOrigin| origin.over_tls)
    }

    /// Returns the value of a cookie, without its percent-encoding.
    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let value = cookie(&self.headers, name)?;
        Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        let body = body.map(Value::to_string);
        let mut request = Request::builder().method(method).uri(path);
        let headers = request.headers_mut()?;
        headers.extend(self.headers.clone());
        if let Some(body) = &body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        *request.extensions_mut()? = self.extensions.clone();
        let request = request.body(body.map_or_else(Body::empty, Body::from)).ok()?;
        let Ok(response) = self.services.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MAX_ANSWER).await.ok()?;
        Some(Answer {
            status: head.status,
            headers: head.headers,
            extensions: head.extensions,
            body,
        })
    }

    pub(super) fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Refusal> {
        answer.content().map_err(|error| {
            tracing::error!(%error, "a page cannot read the answer of a route");
            self.internal()
        })
    }

    fn internal(&self) -> Refusal {
        self.refused(StatusCode::INTERNAL_SERVER_ERROR, "an internal error occurred")
    }

    /// Returns the refusal of a page whose visitor must be logged in.
    pub(super) fn not_logged_in(&self) -> Refusal {
        self.refused(StatusCode::UNAUTHORIZED, "authentication required")
    }

    /// Returns the refusal of a page for which the store cannot be read.
    pub(super) fn unavailable(&self) -> Refusal {
        self.refused(StatusCode::SERVICE_UNAVAILABLE, "the store is not available")
    }

    /// Returns the refusal of an address whose query breaks a rule.
    pub(super) fn malformed(&self, rule: &str) -> Refusal {
        self.refused(StatusCode::BAD_REQUEST, rule)
    }

    fn refused(&self, status: StatusCode, detail: &str) -> Refusal {
        Refusal::new(status, detail, &self.page)
    }
}

/// Encodes text for a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Adds a parameter to a query that has one already.
pub(super) fn add(query: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        // A String takes everything.
        let _ = write!(query, "&{name}={}", encoded(value));
    }
}
