//! The API described by itself: `/openapi.json`, and `/docs/` to read and try it.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Redirect;
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder, ServerBuilder,
};
use utoipa::{IntoResponses, Modify, OpenApi, PartialSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::ProblemDetails;
use super::caching::Cached;

/// What the page needs: its own scripts, styles and answers. It sets styles in its markup.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// What the documents of all ports have in common.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "checkin",
        description = "People check in at places and rate them. Log in with `POST /login`, which \
                       sets the session cookie. Lists come in pages: a `Link` header with \
                       `rel=\"next\"` leads to the next one. This document describes the routes of \
                       the port that it was read from; the console serves all of them."
    ),
    tags(
        (name = "account", description = "Sessions and one's own account"),
        (name = "users", description = "People, their histories and figures"),
        (name = "places", description = "Places, their details and ratings"),
        (name = "check-ins", description = "To check in, and to see who does"),
        (name = "operation", description = "Probes and metrics"),
    ),
    components(schemas(ProblemDetails<'static>)),
    modifiers(&CookieLogin, &ThisOrigin),
)]
pub(super) struct Base;

/// How one logs in: at the authentication service, which sets the cookie.
struct CookieLogin;

impl Modify for CookieLogin {
    fn modify(&self, document: &mut Document) {
        let cookie = ApiKeyValue::with_description("checkinapp", "Set by `POST /login`");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// Every port serves the routes that its own document describes.
struct ThisOrigin;

impl Modify for ThisOrigin {
    fn modify(&self, document: &mut Document) {
        document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    }
}

/// `/openapi.json` and `/docs/`.
pub(super) fn routes(document: Document) -> Router {
    let document = serde_json::to_value(document).unwrap_or_default();
    let show = async move |headers: HeaderMap| Cached::minutes(5).answer(&headers, &document);
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    let policy = HeaderValue::from_static(DOCS_POLICY);
    let page = Router::from(page)
        .layer(SetResponseHeaderLayer::overriding(CONTENT_SECURITY_POLICY, policy))
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        ));
    Router::new().route("/openapi.json", get(show)).merge(page)
}

/// `/`, for a port that people visit: it leads to `/docs/`.
#[must_use]
pub fn front_door() -> OpenApiRouter {
    OpenApiRouter::new().route("/", get(async || Redirect::to("/docs/")))
}

type Responses = BTreeMap<String, RefOr<Response>>;

/// The problems of every route.
#[derive(Debug)]
pub struct Problems;

/// The problems of a route that takes a body.
#[derive(Debug)]
pub struct BodyProblems;

/// There is no record of this id.
#[derive(Debug)]
pub struct Missing;

/// Nobody is logged in.
#[derive(Debug)]
pub struct LoginNeeded;

/// A page of another site sent it, or it is another user's.
#[derive(Debug)]
pub struct Forbidden;

/// It was asked for too often.
#[derive(Debug)]
pub struct TooOften;

impl IntoResponses for Problems {
    fn responses() -> Responses {
        problems(&[
            (400, "The request breaks a rule; `errors` names the parameter or field"),
            (408, "The request took too long"),
            (500, "Something went wrong"),
            (503, "The store is not available"),
        ])
    }
}

impl IntoResponses for BodyProblems {
    fn responses() -> Responses {
        problems(&[(413, "The body is too long"), (415, "The body does not say that it is JSON")])
    }
}

impl IntoResponses for Missing {
    fn responses() -> Responses {
        problems(&[(404, "There is none")])
    }
}

impl IntoResponses for Forbidden {
    fn responses() -> Responses {
        problems(&[(403, "It is not for this user, or a page of another site sent the request")])
    }
}

impl IntoResponses for TooOften {
    fn responses() -> Responses {
        problems(&[(429, "Too often; `Retry-After` says in how many seconds to come again")])
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

/// A response that is a text.
fn plain_text(description: &str) -> ResponseBuilder {
    let text = ContentBuilder::new().schema(Some(String::schema())).build();
    ResponseBuilder::new().description(description).content("text/plain", text)
}

/// The responses of these statuses, each a problem (RFC 9457).
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
