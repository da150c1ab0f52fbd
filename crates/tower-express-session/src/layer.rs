//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::accounts::AccountSessions;
use crate::context::Shared;
use crate::failure::EmptyResponse;
use crate::service::SessionService;

/// Gives each request a session.
///
/// [`builder`](Self::builder) makes one. A clone is cheap and is the same layer. If two layers cover one
/// request, the inner one leaves the session of the outer one alone.
///
/// ```
/// use std::time::Duration;
/// use tower_express_session::{CookieOptions, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
///     .name("sid")
///     .cookie(CookieOptions::new().max_age(Duration::from_secs(3600)))
///     .rolling(true)
///     .build()?;
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SessionLayer<F = EmptyResponse> {
    shared: Arc<Shared>,
    on_failure: F,
}

impl<F> SessionLayer<F> {
    pub(crate) fn from_parts(shared: Shared, on_failure: F) -> Self {
        Self { shared: Arc::new(shared), on_failure }
    }

    /// Returns the handle on the sessions of accounts; `None` if the layer was built without
    /// [`account_sessions`](crate::SessionLayerBuilder::account_sessions).
    ///
    /// In axum a handler takes [`AccountSessions`] as an argument instead.
    #[must_use]
    pub fn account_sessions(&self) -> Option<AccountSessions> {
        self.shared.accounts.clone()
    }

    /// Waits for the work that goes on behind responses, such as late touches, and ends the store's
    /// background tasks. Call it when the server has stopped accepting requests.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]).build()?;
    /// // axum::serve(listener, app).with_graceful_shutdown(signal).await?;
    /// layer.shut_down().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has waited for less; another one waits for the rest.
    pub async fn shut_down(&self) {
        self.shared.shut_down().await;
    }
}

impl<S, F: Clone> Layer<S> for SessionLayer<F> {
    type Service = SessionService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.shared), self.on_failure.clone())
    }
}

impl<F> fmt::Debug for SessionLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("shared", &self.shared).finish_non_exhaustive()
    }
}
