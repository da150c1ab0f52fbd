//! The layer: one builder method for each option of express-session.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::request::Parts;
use tower_layer::Layer;

use crate::accounts::Accounts;
use crate::context::Shared;
use crate::error::ConfigError;
use crate::event::Event;
use crate::options::{CookieOptions, Hook, Options, SameSite, Unset, WhenAway};
use crate::service::SessionService;
use crate::signature::Secrets;
use crate::store::Store;
use crate::timestamp;

/// Gives each request a session.
///
/// The defaults are those that express-session recommends: nothing is stored and no cookie sent
/// until a handler puts something into the session, and nothing is written that did not change.
///
/// Each method is an option of express-session by its name, or one of this crate's own. An inner
/// layer leaves the session of an outer one alone.
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
pub struct SessionLayer(Arc<Shared>);

/// A request extension that says that the request came over TLS. Whoever ends the TLS connection
/// in this process inserts it; a proxy in front says it with
/// [`proxy`](SessionLayer::proxy) instead. `req.secure` of Express.
///
/// ```
/// use axum::extract::Request;
/// use tower_express_session::SecureTransport;
///
/// /// For `axum::middleware::map_request`, around the session layer.
/// async fn note_tls(mut request: Request) -> Request {
///     request.extensions_mut().insert(SecureTransport);
///     request
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SecureTransport;

impl SessionLayer {
    /// A layer over a store, with the secrets that sign its cookies: the first one signs, each
    /// verifies. The options `store` and `secret`.
    ///
    /// ```
    /// use tower_express_session::{ConfigError, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new(), ["new secret", "old secret"])?;
    ///
    /// let error = SessionLayer::new(MemoryStore::new(), [""]).unwrap_err();
    /// assert_eq!(error, ConfigError::EmptySecret);
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when there is no secret, or an empty one.
    pub fn new<S: AsRef<[u8]>>(
        store: impl Store,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        Ok(Self::with_parts(store, Secrets::new(secrets)?))
    }

    /// Like [`new`](Self::new), with secrets of which the application keeps a clone, to
    /// [replace](Secrets::replace) them while it runs.
    #[must_use]
    pub fn with_parts(store: impl Store, secrets: Secrets) -> Self {
        Self::with_shared_store(Arc::new(store), secrets)
    }

    /// Like [`with_parts`](Self::with_parts), over a store that others use, too, such as
    /// [`Accounts`].
    #[must_use]
    pub fn with_shared_store(store: Arc<dyn Store>, secrets: Secrets) -> Self {
        Self(Arc::new(Shared::new(Options::new(secrets), store)))
    }

    /// The cookie's name, a token of RFC 7230: the option `name`. Default: `connect.sid`.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with(|options| options.name = name.to_owned())
    }

    /// The cookie of new sessions: the option `cookie`. Sessions that are stored already keep theirs.
    /// Default: `Path=/; HttpOnly`, as long as the browser runs.
    #[must_use]
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        self.with(|options| options.cookie = cookie)
    }

    /// The cookie of new sessions, where it depends on the request: express-session's `cookie` as a
    /// function. It is asked once for each request, and takes the place of
    /// [`cookie`](Self::cookie).
    ///
    /// ```
    /// # use tower_express_session::{CookieOptions, MemoryStore, SessionLayer};
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// let layer = layer.cookie_with(|request| {
    ///     let tenant = request.headers.get("x-tenant").and_then(|name| name.to_str().ok());
    ///     CookieOptions::new().path(tenant.map_or("/", |_| "/tenant"))
    /// });
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn cookie_with(
        self,
        cookie: impl Fn(&Parts) -> CookieOptions + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.cookie_of = Some(Hook(Arc::new(cookie))))
    }

    /// Makes the ids of new sessions: express-session's `genid`. They must not be guessed; the
    /// default has 192 random bits. Of an id that is in use already the session is refused with
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict).
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// use tower_express_session::SessionId;
    ///
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// // Ids that say which service made the session.
    /// let layer = layer.genid(|| {
    ///     let id = SessionId::generate().expect("the system has random numbers");
    ///     format!("rust.{}", id.as_str())
    /// });
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn genid(self, generate: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.with(|options| options.generate_id = Some(Hook(Arc::new(generate))))
    }

    /// How long the store keeps a session whose cookie does not say; counted from the last request
    /// that used it. connect-redis's option `ttl`, in whole seconds. Default: 24 hours.
    ///
    /// A cookie with a [`max_age`](CookieOptions::max_age) takes the place of it. The crate's page has
    /// [all lifetimes in one table](crate#lifetimes).
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|options| options.ttl = ttl)
    }

    /// Whether a session that a handler asked for is written even if nothing in it changed: the option
    /// `resave`. Default: no (express-session: yes).
    #[must_use]
    pub fn resave(self, resave: bool) -> Self {
        self.with(|options| options.rules.resave = resave)
    }

    /// Whether each response of a handler that asked for the session sets the cookie anew: the option
    /// `rolling`. Default: no.
    ///
    /// With a cookie that has a [`max_age`](CookieOptions::max_age) this keeps the browser's cookie
    /// alive for as long as the session is used.
    #[must_use]
    pub fn rolling(self, rolling: bool) -> Self {
        self.with(|options| options.rules.rolling = rolling)
    }

    /// Whether a session that a handler asked for is stored and its cookie sent before anything is in
    /// it: the option `saveUninitialized`. Default: no (express-session: yes).
    #[must_use]
    pub fn save_uninitialized(self, save_uninitialized: bool) -> Self {
        self.with(|options| options.rules.save_uninitialized = save_uninitialized)
    }

    /// What becomes of the stored session when a handler [unsets](crate::Session::unset) it: the
    /// option `unset`. Default: [`Unset::Keep`].
    #[must_use]
    pub fn unset(self, unset: Unset) -> Self {
        self.with(|options| options.unset = unset)
    }

    /// Whether the header `X-Forwarded-Proto` is believed; only behind a proxy that sets it. The
    /// option `proxy`. Default: no.
    ///
    /// ```
    /// # use tower_express_session::{CookieOptions, MemoryStore, Secure, SessionLayer};
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// // Without `proxy` no request counts as one over TLS, and none gets a cookie.
    /// let layer = layer.proxy(true).cookie(CookieOptions::new().secure(Secure::Yes));
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn proxy(self, proxy: bool) -> Self {
        self.with(|options| options.proxy = proxy)
    }

    /// `SameSite` for cookies whose session does not name one. It goes to the browser without being
    /// written into the session, so that the stored value stays the one that an Express service
    /// with the default options would write. Default: none.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// use tower_express_session::SameSite;
    ///
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// let layer = layer.same_site_on_wire(SameSite::Lax).secure_on_wire(true);
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
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

    /// The part of its lifetime after which a session that is used is kept in the store for another
    /// lifetime; 0 does so on each request, as Express does, but for a session that was touched within
    /// the same millisecond. Default: 0.1.
    ///
    /// With an idle timeout of 30 minutes, a session is touched at most every three minutes, and
    /// ends between 27 and 30 minutes after it was last used. The response does not wait for it. A
    /// touch that fails is left to the next request.
    #[must_use]
    pub fn touch_after(self, fraction: f64) -> Self {
        self.with(|options| options.touch_after = fraction)
    }

    /// Whether a touch writes the session of a cookie with a lifetime, so that the `expires` in the
    /// stored value moves with it. Default: no, as in Express, where it stays behind, and an
    /// `req.session.save()` of an Express service computes the time to live from it: late enough,
    /// that ends the session.
    #[must_use]
    pub fn refresh_expires(self, refresh: bool) -> Self {
        self.with(|options| options.rules.refresh_expires = refresh)
    }

    /// What a handler gets when its session cannot be read because the store is away. Default:
    /// [`WhenAway::Refuse`]. Express has the store's events `disconnect` and `connect` for this, after
    /// which `req.session` is missing.
    #[must_use]
    pub fn when_away(self, when_away: WhenAway) -> Self {
        self.with(|options| options.when_away = when_away)
    }

    /// Serves programs that keep no cookies, too: they send the cookie's value as
    /// `Authorization: Bearer s:…` or in this header, and get it in this header, wherever a browser
    /// gets a cookie. Default: off.
    ///
    /// A request that has the header, empty at first, or a bearer token that begins with `s:` gets
    /// and sets no cookie. No browser sends either by itself, so that such requests need no defence
    /// against cross-site forgery.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// use http::HeaderName;
    ///
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// let layer = layer.token_header(HeaderName::from_static("session-token"));
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn token_header(self, header: HeaderName) -> Self {
        self.with(|options| options.token_header = Some(header))
    }

    /// Notes each login under its account, so that the account's sessions can be listed and ended:
    /// when a handler gives a session the attribute that says whose it is, and again when the
    /// session is touched. Default: none. See [`Accounts`] for an example.
    ///
    /// The response of a login waits for the note; if it cannot be made, that is logged and the login
    /// holds.
    #[must_use]
    pub fn accounts(mut self, accounts: Accounts) -> Self {
        Arc::make_mut(&mut self.0).accounts = Some(accounts);
        self
    }

    /// Is told what happens to sessions, to count it. Must not block: requests wait for it.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use tower_express_session::Event;
    ///
    /// # let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// let failures = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&failures);
    /// let layer = layer.on_event(move |event| {
    ///     if let Event::Failed(_) = event {
    ///         counter.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// });
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn on_event(self, observer: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.with(|options| options.observer = Some(Hook(Arc::new(observer))))
    }

    /// Behaves as express-session 1.19 with connect-redis 9 in everything that can be seen from
    /// outside, also where this crate knows better: the session is loaded before the handler runs,
    /// values are written as Node would write them, writers overwrite each other, destroying does
    /// not clear the cookie, a corrupt value answers 500, and only the first cookie of the name is
    /// tried. For conformance tests; `resave` and the other options are still as set.
    #[must_use]
    pub fn strict(self) -> Self {
        self.with(|options| options.strict = true)
    }

    /// Checks the options, so that a service whose cookie no browser accepts does not start. Put it
    /// last.
    ///
    /// The rules are those of RFC 6265bis: `SameSite=None` and `Partitioned` come with `secure`; the
    /// names `__Secure-`, `__Host-`, `__Http-` and `__Host-Http-` ask for the attributes that they
    /// promise; values must be known, paths and domains well-formed, and a lifetime ends in the future
    /// and within 400 days. The cookie is judged as it answers a request over TLS. What
    /// [`cookie_with`](Self::cookie_with) gives is not checked. In strict mode all that Express takes
    /// is taken.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] names the option.
    ///
    /// ```
    /// use tower_express_session::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new(), ["keyboard cat"])?;
    /// let error = layer.name("my session").check().unwrap_err();
    /// assert_eq!(error.to_string(), "option name: must be a token of RFC 7230");
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.0.options.check(timestamp::now_ms())?;
        Ok(self)
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut Arc::make_mut(&mut self.0).options);
        self
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.0))
    }
}
