//! Is it alive, is it ready.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::ApiError;
use crate::storage::Health;

/// Answers `/healthz` (the process is alive) and `/readyz` (the store can be reached).
#[derive(Clone)]
pub struct Probes(Arc<dyn Health>);

impl Probes {
    /// Probes that ask this store.
    #[must_use]
    pub fn new(health: Arc<dyn Health>) -> Self {
        Self(health)
    }

    pub(super) fn routes(&self) -> Router {
        Router::new()
            .route("/healthz", get(async || "OK"))
            .route("/readyz", get(ready))
            .with_state(self.clone())
    }
}

async fn ready(State(probes): State<Probes>) -> Result<&'static str, ApiError> {
    probes.0.ping().await?;
    Ok("OK")
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probes")
    }
}
