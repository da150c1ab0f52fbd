//! Whether the service may use its store yet.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::watch;

use super::Problem;

/// Whether the store has been checked and prepared since the service started; clones share it. A
/// service that is not ready answers every request but those of probes and metrics with 503.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Why it is not ready; none once it is.
    obstacle: Arc<watch::Sender<Option<String>>>,
}

impl Readiness {
    /// Not ready, as nothing has been checked.
    #[must_use]
    pub fn unchecked() -> Self {
        let (obstacle, _) = watch::channel(Some("the store has not been checked".to_owned()));
        Self { obstacle: Arc::new(obstacle) }
    }

    /// Sets the reason for which it is not ready; none if it is.
    pub fn set(&self, obstacle: Option<String>) {
        self.obstacle.send_replace(obstacle);
    }

    /// Returns when it is ready.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn wait(&self) {
        // An error means that the sender is gone, and this is one.
        drop(self.obstacle.subscribe().wait_for(Option::is_none).await);
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.obstacle.borrow().is_none()
    }

    /// Fails with the reason as long as it is not ready.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.obstacle.borrow().clone().map_or(Ok(()), |reason| Err(Problem::not_ready(reason)))
    }
}

/// Lets a request pass once the service is ready.
pub(super) async fn gate(
    State(readiness): State<Readiness>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    readiness.check()?;
    Ok(next.run(request).await)
}
