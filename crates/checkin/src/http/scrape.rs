//! Answers `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Problem;
use super::document::Problems;
use super::exposition::Format;
use crate::metrics::Registries;

/// What a port shows at `/metrics`.
#[derive(Clone, Debug)]
pub enum Scrape {
    /// The metrics of the port itself, and those of the whole process.
    Port(Arc<Registry>, Registries),
    /// The metrics of all ports, and those of the whole process.
    All(Registries),
    /// Nothing: there is no such route, because another port shows all metrics.
    None,
}

impl Scrape {
    pub(super) fn routes(&self) -> OpenApiRouter {
        match self {
            Self::None => OpenApiRouter::new(),
            shown => OpenApiRouter::new().routes(routes!(show)).with_state(shown.clone()),
        }
    }

    fn registries(&self) -> Vec<Arc<Registry>> {
        match self {
            Self::Port(own, registries) => registries.with_port(own),
            Self::All(registries) => registries.all(),
            Self::None => Vec::new(),
        }
    }
}

/// Returns metrics for Prometheus: text 0.0.4, or OpenMetrics 1.0.0 if `Accept` names it.
#[utoipa::path(
    get, operation_id = "getMetrics", path = "/metrics", tag = "operation", security(()),
    responses(
        (status = 200, content((String = "text/plain"), (String = "application/openmetrics-text"))),
        Problems,
    ),
)]
async fn show(State(scrape): State<Scrape>, headers: HeaderMap) -> Result<Response, Problem> {
    let format = Format::of(&headers);
    let text = format.write(&scrape.registries()).map_err(|_| Problem::internal())?;
    let headers = [(CONTENT_TYPE, format.content_type()), (VARY, ACCEPT.as_str())];
    Ok((headers, text).into_response())
}
