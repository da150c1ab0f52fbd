//! The probes `/healthz` and `/readyz`.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::document::Problems;
use super::{Problem, Readiness};
use crate::storage::Health;

/// Answers `/healthz` (the process lives) and `/readyz` (the store is available, and the service is
/// not about to stop).
#[derive(Clone)]
pub struct Probes {
    health: Arc<dyn Health>,
    readiness: Readiness,
    draining: CancellationToken,
}

impl Probes {
    /// Creates probes that check this store when the service is ready, until it drains.
    #[must_use]
    pub fn new(health: Arc<dyn Health>, readiness: Readiness, draining: CancellationToken) -> Self {
        Self { health, readiness, draining }
    }

    pub(super) fn routes(&self) -> OpenApiRouter {
        OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).with_state(self.clone())
    }
}

/// Reports that the process lives.
#[utoipa::path(
    get, operation_id = "getHealth", path = "/healthz", tag = "operation", security(()),
    responses((status = 200, content_type = "text/plain", body = String), Problems),
)]
async fn alive() -> &'static str {
    "OK"
}

/// Reports whether the store is available, and the service is not about to stop.
#[utoipa::path(
    get, operation_id = "getReadiness", path = "/readyz", tag = "operation", security(()),
    responses((status = 200, content_type = "text/plain", body = String), Problems),
)]
async fn ready(State(probes): State<Probes>) -> Result<&'static str, Problem> {
    if probes.draining.is_cancelled() {
        return Err(Problem::stopping());
    }
    probes.readiness.check()?;
    let pinged = probes.health.ping().await;
    pinged.map_err(|fault| Problem::not_ready(fault.what()))?;
    Ok("OK")
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probes")
    }
}
