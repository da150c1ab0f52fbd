//! Records whether the service may use its store.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tokio::sync::watch;
use tower::{Layer, Service};

use super::Problem;

/// Whether the store has been checked and prepared since the service started. Clones share the
/// state. As a layer, it makes the routes of a service answer every request with 503 until then.
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

    /// Sets the reason why it is not ready, or `None` if it is. Returns whether that is new.
    pub fn set(&self, obstacle: Option<String>) -> bool {
        self.obstacle.send_if_modified(|now| std::mem::replace(now, obstacle.clone()) != obstacle)
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

impl<S> Layer<S> for Readiness {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { readiness: self.clone(), inner }
    }
}

/// Passes a request on if the service is ready.
#[derive(Clone, Debug)]
pub struct Gate<S> {
    readiness: Readiness,
    inner: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Gate<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.readiness.check() {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(problem) => Either::Right(ready(Ok(problem.into_response()))),
        }
    }
}
