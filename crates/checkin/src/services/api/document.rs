//! The API described by itself: `/openapi.json`, and `/docs/` to read and try it.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, HeaderValue};
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::caching::Cached;
use crate::http::Problem;

/// What the page needs: its own scripts, styles and answers. It sets styles in its markup.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "checkin",
        description = "Reads users, places and check-ins. Lists come in pages: a `Link` header with \
                       `rel=\"next\"` leads to the next one."
    ),
    components(schemas(Problem<'static>)),
    modifiers(&CookieLogin),
)]
pub(super) struct Api;

/// How one logs in: at the authentication service, which sets the cookie.
struct CookieLogin;

impl Modify for CookieLogin {
    fn modify(&self, document: &mut Document) {
        let cookie = ApiKeyValue::with_description("checkinapp", "Set by `POST /login`");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
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

/// The id of a user or of a place.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes a parameter, which `Parameters` reads")]
pub(super) struct Id {
    #[param(minimum = 1, maximum = 9007199254740991i64)]
    id: u64,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which `Parameters::paging` reads")]
pub(super) struct PageQuery {
    /// Records at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// Where the page begins, as the `Link` of the page before has it.
    #[param(pattern = "^[A-Za-z0-9_-]{32,43}$")]
    cursor: Option<String>,
}

/// Which page of a list of check-ins.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which `Parameters::paging` reads")]
pub(super) struct CheckinPage {
    /// Check-ins at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page begins, as the `Link` of the page before has it.
    #[param(pattern = "^[A-Za-z0-9_-]{32,43}$")]
    cursor: Option<String>,
}

/// Of which time a leaderboard tells.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a parameter, which `Parameters` reads")]
pub(super) struct PeriodQuery {
    /// From the beginning, or this week from Monday (UTC).
    #[param(inline)]
    period: Option<PeriodName>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a parameter, which `period` reads")]
enum PeriodName {
    All,
    Week,
}

/// The problems of every route.
pub(super) struct Problems;

/// There is no record of this id.
pub(super) struct Missing;

/// Nobody is logged in.
pub(super) struct LoginNeeded;

/// It is another user's.
pub(super) struct OwnerOnly;

/// The weather service has no answer.
pub(super) struct Weatherless;

impl IntoResponses for Weatherless {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (502, "The weather service did not answer with the weather"),
            (503, "There is no key for it, or it or the store cannot be reached"),
        ])
    }
}

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (400, "A parameter breaks a rule; `errors` names it"),
            (408, "The request took too long"),
            (500, "Something went wrong"),
            (503, "The store cannot be reached"),
        ])
    }
}

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(404, "There is none")])
    }
}

impl IntoResponses for OwnerOnly {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(403, "It is for the user themself alone")])
    }
}

impl IntoResponses for LoginNeeded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = ContentBuilder::new().schema(Some(String::schema())).build();
        let response = ResponseBuilder::new()
            .description("`Authentication required.`")
            .content("text/plain", text);
        BTreeMap::from([("401".to_owned(), RefOr::T(response.build()))])
    }
}

fn problems(statuses: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let response = |&(status, description): &(u16, &str)| {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem);
        (status.to_string(), RefOr::T(response.build()))
    };
    statuses.iter().map(response).collect()
}
