//! Serves the API's document `/openapi.json`, and `/docs/` to read and try it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response as PageResponse};
use axum::routing::get;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
};
use utoipa::{IntoResponses, Modify, OpenApi, PartialSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::caching::{Cacheable, Cached};
use super::{Problem, ProblemDetails};

/// The Content-Security-Policy of the page: only its own scripts, styles and responses. It sets
/// styles in its markup.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The parts of the document that all ports have in common.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "checkin",
        description = "Users check in at locations and rate them. Log in with `POST /login`, which \
                       sets the session cookie. Lists come in pages: a `Link` header with \
                       `rel=\"next\"` is the address of the next one. This document describes the routes of \
                       the port that it was read from; the console serves all of them."
    ),
    tags(
        (name = "account", description = "Sessions and your own account"),
        (name = "operators", description = "What operators see, and what they do to other accounts"),
        (name = "users", description = "Users, their histories and figures"),
        (name = "locations", description = "Locations, their details and ratings"),
        (name = "check-ins", description = "Check-ins, and the stream of new ones"),
        (name = "operation", description = "Probes and metrics"),
    ),
    components(schemas(ProblemDetails<'static>)),
    modifiers(&CookieLogin, &ThisOrigin),
)]
pub(super) struct Base;

/// The security scheme: the session cookie, which the authentication service sets.
struct CookieLogin;

impl Modify for CookieLogin {
    fn modify(&self, document: &mut Document) {
        let cookie = ApiKeyValue::with_description("checkinapp", "Set by `POST /login`");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The server of the document: the port that it was read from.
struct ThisOrigin;

impl Modify for ThisOrigin {
    fn modify(&self, document: &mut Document) {
        document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    }
}

/// Returns the routes `/openapi.json` and `/docs/`.
pub(super) fn routes(document: Document) -> Router {
    let document = Cacheable::of(&document).ok().map(Arc::new);
    let show = async move |headers: HeaderMap| match document {
        Some(document) => document.answer(Cached::minutes(5), &headers),
        None => Problem::internal().into_response(),
    };
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let page = Router::from(page).layer(map_response(async |mut page: PageResponse| {
        let headers = page.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        page
    }));
    Router::new().route("/openapi.json", get(show)).merge(page)
}

type Responses = BTreeMap<String, RefOr<Response>>;

/// The problems that every route may return.
#[derive(Debug)]
pub struct Problems;

/// The problems that a route with a body may return.
#[derive(Debug)]
pub struct BodyProblems;

/// The problem of a record that does not exist.
#[derive(Debug)]
pub struct Missing;

/// The response if nobody is logged in.
#[derive(Debug)]
pub struct LoginNeeded;

/// The problem of a request from a page of another site, or about another user.
#[derive(Debug)]
pub struct Forbidden;

impl IntoResponses for Problems {
    fn responses() -> Responses {
        problems(&[
            (400, "The request breaks a rule; `errors` names the parameter or field"),
            (408, "The request took too long"),
            (429, "Too many requests; `Retry-After` is the number of seconds to wait"),
            (500, "An internal error, which has been logged"),
            (503, "The store is unavailable, or too many requests are in progress"),
        ])
    }
}

impl IntoResponses for BodyProblems {
    fn responses() -> Responses {
        problems(&[
            (413, "The body is too long"),
            (415, "The content type of the body is not JSON"),
        ])
    }
}

impl IntoResponses for Missing {
    fn responses() -> Responses {
        problems(&[(404, "It does not exist")])
    }
}

impl IntoResponses for Forbidden {
    fn responses() -> Responses {
        problems(&[(403, "The user may not do this, or a page of another site sent the request")])
    }
}

impl IntoResponses for LoginNeeded {
    fn responses() -> Responses {
        let challenge = HeaderBuilder::new().schema(String::schema()).build();
        let response = plain_text("`Authentication required.`, or `Invalid login.`")
            .header("WWW-Authenticate", challenge);
        BTreeMap::from([("401".to_owned(), RefOr::T(response.build()))])
    }
}

/// Returns a response with a plain text.
fn plain_text(description: &str) -> ResponseBuilder {
    let text = ContentBuilder::new().schema(Some(String::schema())).build();
    ResponseBuilder::new().description(description).content("text/plain", text)
}

/// Returns the responses with these statuses, each a problem (RFC 9457).
#[must_use]
pub fn problems(statuses: &[(u16, &str)]) -> Responses {
    let response = |&(status, description): &(u16, &str)| {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem);
        (status.to_string(), RefOr::T(response.build()))
    };
    statuses.iter().map(response).collect()
}
