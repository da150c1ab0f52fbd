//! The layer: one builder method for each option of express-session.

use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use crate::error::ConfigError;
use crate::options::{CookieOptions, Options, SameSite, Unset};
use crate::service::SessionService;
use crate::signature::Secrets;
use crate::store::Store;

/// Gives each request a session.
///
/// The defaults are those that express-session recommends: nothing is stored and no cookie sent
/// until a handler puts something into the session, and nothing is written that did not change.
///
/// ```
/// use std::time::Duration;
/// use tower_express_session::{CookieOptions, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?
///     .name("sid")
///     .cookie(CookieOptions::new().max_age(Duration::from_secs(3600)))
///     .rolling(true);
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer {
    options: Arc<Options>,
    store: Arc<dyn Store>,
}

/// A request extension that says that the request came over TLS. Whoever ends the TLS connection
/// in this process inserts it; a proxy in front says it with
/// [`proxy`](SessionLayer::proxy) instead.
#[derive(Clone, Copy, Debug)]
pub struct SecureTransport;

impl SessionLayer {
    /// A layer over a store, with the secrets that sign its cookies: the first one signs, each
    /// verifies.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when there is no secret, or an empty one.
    pub fn new<S: AsRef<[u8]>>(
        store: impl Store,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::with_shared_store(Arc::new(store), Secrets::new(secrets)?))
    }

    /// Like [`new`](Self::new), with parts that are made already.
    #[must_use]
    pub fn with_shared_store(store: Arc<dyn Store>, secrets: Secrets) -> Self {
        Self { options: Arc::new(Options::new(secrets)), store }
    }

    /// The cookie's name. Default: `connect.sid`.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|options| options.name = name.to_owned())
    }

    /// The cookie of new sessions. Default: `Path=/; HttpOnly`, as long as the browser runs.
    #[must_use]
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        self.with(|options| options.cookie = cookie)
    }

    /// How long the store keeps a session whose cookie does not say; counted from the last request
    /// that used it. connect-redis's option `ttl`. Default: 24 hours.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|options| options.ttl = ttl)
    }

    /// Whether a session is written even if nothing in it changed. Default: no.
    #[must_use]
    pub fn resave(self, resave: bool) -> Self {
        self.with(|options| options.rules.resave = resave)
    }

    /// Whether each response sets the cookie anew. Default: no.
    #[must_use]
    pub fn rolling(self, rolling: bool) -> Self {
        self.with(|options| options.rules.rolling = rolling)
    }

    /// Whether a session is stored and its cookie sent before anything is in it. Default: no.
    #[must_use]
    pub fn save_uninitialized(self, save_uninitialized: bool) -> Self {
        self.with(|options| options.rules.save_uninitialized = save_uninitialized)
    }

    /// What becomes of the stored session when a handler unsets it. Default: [`Unset::Keep`].
    #[must_use]
    pub fn unset(self, unset: Unset) -> Self {
        self.with(|options| options.unset = unset)
    }

    /// Whether the header `X-Forwarded-Proto` is believed; only behind a proxy that sets it.
    /// Default: no.
    #[must_use]
    pub fn proxy(self, proxy: bool) -> Self {
        self.with(|options| options.proxy = proxy)
    }

    /// `SameSite` for cookies whose session does not name one. It goes to the browser without being
    /// written into the session, so that the stored value stays the one that an Express service
    /// with the default options would write. Default: none.
    #[must_use]
    pub fn same_site_on_wire(self, same_site: SameSite) -> Self {
        self.with(|options| options.same_site_on_wire = Some(same_site))
    }

    /// Whether cookies in answer to requests over TLS are marked `Secure`, again without writing it
    /// into the session. Default: no.
    #[must_use]
    pub fn secure_on_wire(self, secure: bool) -> Self {
        self.with(|options| options.secure_on_wire = secure)
    }

    /// Behaves as express-session 1.19 with connect-redis 9 in everything that can be seen from
    /// outside, also where this crate knows better: the session is loaded before the handler runs,
    /// values are written as Node would write them, writers overwrite each other, destroying does
    /// not clear the cookie, a corrupt value answers 500, and only the first cookie of the name is
    /// tried. For conformance tests.
    #[must_use]
    pub fn strict(self) -> Self {
        self.with(|options| options.strict = true)
    }

    /// Checks the options, so that a service with a cookie that no browser takes does not start.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] names the option.
    pub fn check(self) -> Result<Self, ConfigError> {
        self.options.check()?;
        Ok(self)
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.options));
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.options), Arc::clone(&self.store))
    }
}
