//! What all pages have in common: the frame, the headers, the page of an error.

use askama::Template;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};

use super::assets;
use super::client::{MAX_ANSWER, Visitor};
use super::notice::Notice;
use super::refusal::{FieldError, ProblemBody, Refusal};
use super::views::Account;
use crate::http::Problem;

/// Pages load nothing from elsewhere, except tiles of maps, and have no script and no style in their markup.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The frame of a page: its head and its navigation.
pub(super) struct Frame {
    /// The visitor's account, if the visitor is logged in.
    pub(super) user: Option<Account>,
    /// The part of the navigation that the page belongs to.
    here: &'static str,
    /// What the page says about the form before it.
    pub(super) notice: Option<Notice>,
}

impl Frame {
    /// Returns the frame of a page for this visitor.
    pub(super) async fn of(visitor: &Visitor, here: &'static str) -> Result<Self, Refusal> {
        Ok(Self { user: visitor.account().await?, here, notice: visitor.notice })
    }

    /// Returns the frame of a page for a visitor whose account is known.
    pub(super) fn of_account(visitor: &Visitor, account: Account, here: &'static str) -> Self {
        Self { user: Some(account), here, notice: visitor.notice }
    }

    /// Returns the frame of a page for somebody who is not logged in.
    pub(super) fn of_nobody(here: &'static str) -> Self {
        Self { user: None, here, notice: None }
    }

    pub(super) fn asset(&self, file: &str) -> String {
        assets::path(file)
    }

    /// Returns whether it is known who the visitor is. The page of an error does not ask.
    pub(super) fn is_known(&self) -> bool {
        !self.here.is_empty()
    }

    pub(super) fn current(&self, part: &str) -> &'static str {
        if self.here == part { "page" } else { "false" }
    }
}

/// A page, from its template.
pub(super) struct Page<T>(pub(super) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => {
                let policy = HeaderValue::from_static(POLICY);
                ([(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, policy)], html).into_response()
            }
            Err(error) => {
                Problem::internal().caused_by("cannot write a page", error).into_response()
            }
        }
    }
}

/// Answers browsers that ask for a page with a page, also if the request reaches no page: if the path is unknown, or
/// a form cannot be read. Other clients get the problem document.
pub(crate) fn with_error_pages(port: Router) -> Router {
    port.layer(from_fn(async |request: Request, next: Next| {
        let wants_page = wants_page(request.headers());
        let response = next.run(request).await;
        let kind = response.headers().get(CONTENT_TYPE);
        match wants_page && kind.is_some_and(|kind| kind == "application/problem+json") {
            true => page_of(response).await,
            false => response,
        }
    }))
}

/// Returns whether a browser asks for a page: it names `text/html`, which scripts and other programs do not.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
    })
}

/// Returns the page of a problem document, with the other headers of its response.
async fn page_of(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, MAX_ANSWER).await.unwrap_or_default();
    let problem = serde_json::from_slice::<ProblemBody>(&body);
    let (detail, errors) = problem.map_or_else(|_| <_>::default(), |it| (it.detail, it.errors));
    let (page, body) = ErrorPage::of(head.status, &detail, &errors).into_response().into_parts();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.extend(page.headers);
    head.headers.append(VARY, HeaderValue::from_static("accept"));
    Response::from_parts(head, body)
}

/// What the services answer if the path has a resource that there is not.
const MISSING: &str = "there is no such ";

/// The page of a request that was refused.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    title: String,
    detail: String,
}

impl ErrorPage {
    /// Returns the page, which names the fields that break a rule, with the rules.
    fn of(status: StatusCode, detail: &str, errors: &[FieldError]) -> Page<Self> {
        let title = match status {
            StatusCode::NOT_FOUND if detail.starts_with(MISSING) => sentence(detail),
            StatusCode::NOT_FOUND => "There is no such page".to_owned(),
            StatusCode::TOO_MANY_REQUESTS => "Please wait a moment".to_owned(),
            StatusCode::SERVICE_UNAVAILABLE => "The service is not available".to_owned(),
            _ => "This did not work".to_owned(),
        };
        let detail = match title == sentence(detail) {
            true => "It may have been removed.".to_owned(),
            false => said(detail, errors),
        };
        Page(Self { frame: Frame::of_nobody(""), title, detail })
    }
}

impl IntoResponse for Refusal {
    /// Answers with a page that says why. Who is not logged in comes to the login, and back afterwards.
    fn into_response(self) -> Response {
        if self.status == StatusCode::UNAUTHORIZED {
            return Redirect::to(&self.login_page()).into_response();
        }
        let page = ErrorPage::of(self.status, &self.detail, &self.errors);
        let mut response = (self.status, page).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Returns why a request was refused, as sentences: the fields that break a rule with the rules, if there are some.
pub(super) fn told(refusal: &Refusal) -> String {
    said(&refusal.detail, &refusal.errors)
}

fn said(detail: &str, errors: &[FieldError]) -> String {
    let rule = |error: &FieldError| format!("{} {}", label(&error.field), error.rule);
    let rules = errors.iter().map(rule).collect::<Vec<_>>().join("; ");
    match (rules.is_empty(), detail.is_empty()) {
        (false, _) => format!("{}.", sentence(&rules)),
        (true, false) => format!("{}.", sentence(detail)),
        (true, true) => "The request failed.".to_owned(),
    }
}

/// Returns the name of a field on the pages.
fn label(field: &str) -> &str {
    match field {
        "currentPassword" => "the current password",
        "newPassword" => "the new password",
        "code" => "the code",
        "token" => "the link",
        "account" => "the account",
        "kind" => "the kind",
        _ => field,
    }
}

/// Begins a text with a capital letter.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
