//! The tower layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::accounts::AccountSessions;
use crate::builder::SessionLayerBuilder;
use crate::context::LayerState;
use crate::error::ConfigError;
use crate::failure::EmptyResponse;
use crate::service::SessionService;
use crate::signature::Secrets;
use crate::store::Store;

/// Gives each request a session.
///
/// [`builder`](Self::builder) creates one. Clones are cheap and share the layer's state. If two
/// layers cover one request, the session of the outer one is used.
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
    shared: Arc<LayerState>,
    on_failure: F,
}

impl SessionLayer {
    /// Starts to build a layer over a store, with the secrets that sign its cookies: the first one
    /// signs, each of them verifies. These are the options `store` and `secret`.
    ///
    /// The secrets are an array, a slice or a `Vec` of texts or bytes, or [`Secrets`] of which the
    /// application keeps a clone to [replace](Secrets::replace) them at run time. A store that is
    /// also used elsewhere is passed as a clone of its `Arc`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_express_session::{MemoryStore, Secrets, SessionLayer};
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// let layer = SessionLayer::builder(store.clone(), ["new secret", "old secret"]).build()?;
    ///
    /// let secrets = Secrets::new(["keyboard cat"])?;
    /// let other = SessionLayer::builder(store, secrets.clone()).name("other").build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn builder<S, K>(store: S, secrets: K) -> SessionLayerBuilder<S>
    where
        S: Store,
        K: TryInto<Secrets>,
        ConfigError: From<K::Error>,
    {
        SessionLayerBuilder::new(store, secrets)
    }
}

impl<F> SessionLayer<F> {
    pub(crate) fn from_parts(shared: LayerState, on_failure: F) -> Self {
        Self { shared: Arc::new(shared), on_failure }
    }

    /// Returns the handle that lists and revokes the sessions of accounts; `None` if the layer was
    /// built without [`account_sessions`](crate::SessionLayerBuilder::account_sessions).
    ///
    /// In axum a handler takes [`AccountSessions`] as an argument instead.
    #[must_use]
    pub fn account_sessions(&self) -> Option<AccountSessions> {
        self.shared.accounts.clone()
    }

    /// Waits for touches that still run in the background, and ends the store's background tasks.
    /// Call it when the server has stopped accepting requests.
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
    /// If a call is dropped, another call continues to wait.
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
