//! The routes of the service.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::{Operations, Parts};
use super::{dead_letters, diagnosis, overview, security_events};

/// Returns the routes of the service.
pub fn router(parts: Parts) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(overview::show))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(diagnosis::show))
        .routes(routes!(security_events::list))
        .with_state(Arc::new(Operations::from(parts)))
}
