//! Records whether the service may use its store.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::watch;

use super::Problem;

/// Whether the store has been checked and prepared since the service started. Clones share the
/// state. A service that is not ready answers every request with 503, except probes and metrics.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// The reason why it is not ready, or `None` if it is.
    obstacle: Arc<watch::Sender<Option<String>>>,
}

impl Readiness {
    /// Creates the state of a service that is not ready, because nothing has been checked.
    #[must_use]
    pub fn unchecked() -> Self {
        let (obstacle, _) = watch::channel(Some("the store has not been checked".to_owned()));
        Self { obstacle: Arc::new(obstacle) }
    }

    /// Sets the reason why it is not ready, or `None` if it is.
    pub fn set(&self, obstacle: Option<String>) {
        self.obstacle.send_replace(obstacle);
    }

    /// Waits until it is ready.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn wait(&self) {
        // An error would mean that the sender is gone, but `self` holds it.
        drop(self.obstacle.subscribe().wait_for(Option::is_none).await);
    }

    /// Returns whether it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.obstacle.borrow().is_none()
    }

    /// Returns an error with the reason if it is not ready.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.obstacle.borrow().clone().map_or(Ok(()), |reason| Err(Problem::not_ready(reason)))
    }
}

/// Passes a request on if the service is ready.
pub(super) async fn gate(
    State(readiness): State<Readiness>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    readiness.check()?;
    Ok(next.run(request).await)
}
