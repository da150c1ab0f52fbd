//! Builds a layer: one method for each option.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Response};

use crate::accounts::{AccountOptions, AccountSessions};
use crate::context::LayerState;
use crate::cookie_options::{CookieOptions, SameSite};
use crate::error::{ConfigError, Error};
use crate::event::Event;
use crate::failure::EmptyResponse;
use crate::layer::SessionLayer;
use crate::options::{Hook, Options, Unset, WhenUnavailable};
use crate::signature::Secrets;
use crate::store::{AccountStore, Store};
use crate::timestamp;

/// Builds a [`SessionLayer`].
///
/// The defaults are those that express-session recommends: nothing is stored and no cookie is sent
/// before a handler puts something into the session, and an unchanged session is not written again.
/// A method that corresponds to an option of express-session has its name.
///
/// [`build`](Self::build) checks all options together.
#[must_use = "a builder does nothing until `build` is called"]
pub struct SessionLayerBuilder<S, F = EmptyResponse> {
    store: Arc<S>,
    options: Result<Options, ConfigError>,
    accounts: Option<AccountSessions>,
    on_failure: F,
}

impl<S: Store> SessionLayerBuilder<S> {
    pub(crate) fn new<K>(store: S, secrets: K) -> Self
    where
        K: TryInto<Secrets>,
        ConfigError: From<K::Error>,
    {
        let options = secrets.try_into().map(Options::new).map_err(ConfigError::from);
        Self { store: Arc::new(store), options, accounts: None, on_failure: EmptyResponse }
    }
}

impl<S: Store, F> SessionLayerBuilder<S, F> {
    /// Sets the cookie's name, a token of RFC 7230: the option `name`. Default: `connect.sid`.
    pub fn name(self, name: &str) -> Self {
        self.with(|options| options.name = name.to_owned())
    }

    /// Sets the cookie of new sessions: the option `cookie`. Stored sessions keep theirs. Default:
    /// `Path=/; HttpOnly`, until the browser is closed.
    pub fn cookie(self, cookie: CookieOptions) -> Self {
        self.with(|options| options.cookie = cookie)
    }

    /// Sets a function that returns the cookie of the sessions that a request creates:
    /// express-session's `cookie` as a function. It is called once for each request, and replaces
    /// [`cookie`](Self::cookie). [`build`](Self::build) cannot check what it returns.
    ///
    /// ```
    /// # use tower_express_session::{CookieOptions, MemoryStore, SessionLayer};
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
    ///     .cookie_with(|request| {
    ///         let tenant = request.headers.contains_key("x-tenant");
    ///         CookieOptions::new().path(if tenant { "/tenant" } else { "/" })
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn cookie_with(
        self,
        cookie: impl Fn(&Parts) -> CookieOptions + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.cookie_of = Some(Hook(Arc::new(cookie))))
    }

    /// Sets a function that generates the ids of new sessions: the option `genid`. An id must be
    /// impossible to guess; the default has 192 random bits. If the generated id is already taken,
    /// saving the session fails with [`ErrorKind::Conflict`](crate::ErrorKind::Conflict).
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionId, SessionLayer};
    /// // Ids that show which service created the session.
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
    ///     .genid(|| {
    ///         let id = SessionId::generate().expect("the system has random numbers");
    ///         format!("rust.{}", id.as_str())
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn genid(self, generate: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.with(|options| options.generate_id = Some(Hook(Arc::new(generate))))
    }

    /// Sets how long the store keeps a session whose cookie has no
    /// [`max_age`](CookieOptions::max_age), from its last use: connect-redis's option `ttl`, in whole
    /// seconds. Default: 24 hours. The [tutorial](crate::tutorial#lifetimes) has all lifetimes in one
    /// table.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.ttl(std::time::Duration::from_secs(30 * 60)).build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|options| options.ttl = ttl)
    }

    /// Sets whether a session that a handler uses is written even if nothing in it changed: the
    /// option `resave`. Default: no (express-session: yes).
    pub fn resave(self, resave: bool) -> Self {
        self.with(|options| options.rules.resave = resave)
    }

    /// Sets whether each response of a handler that uses the session sets the cookie again: the
    /// option `rolling`. Default: no. With a [`max_age`](CookieOptions::max_age) it keeps the
    /// browser's cookie alive for as long as the session is used.
    pub fn rolling(self, rolling: bool) -> Self {
        self.with(|options| options.rules.rolling = rolling)
    }

    /// Sets whether a session that a handler uses is stored, and its cookie sent, even while it is
    /// empty: the option `saveUninitialized`. Default: no (express-session: yes).
    pub fn save_uninitialized(self, save_uninitialized: bool) -> Self {
        self.with(|options| options.rules.save_uninitialized = save_uninitialized)
    }

    /// Sets what happens to the stored session when a handler
    /// [unsets](crate::raw::RawSession::unset) it: the option `unset`. Default: [`Unset::Keep`].
    pub fn unset(self, unset: Unset) -> Self {
        self.with(|options| options.unset = unset)
    }

    /// Sets whether the header `X-Forwarded-Proto` is trusted: the option `proxy`. Use it only behind a
    /// proxy that sets the header. Default: no.
    ///
    /// ```
    /// # use tower_express_session::{CookieOptions, MemoryStore, Secure, SessionLayer};
    /// // Without `proxy` all requests would count as plain HTTP, and none would get a cookie.
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
    ///     .proxy(true)
    ///     .cookie(CookieOptions::new().secure(Secure::Yes))
    ///     .build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn proxy(self, proxy: bool) -> Self {
        self.with(|options| options.proxy = proxy)
    }

    /// Sets the `SameSite` attribute of cookies whose session does not set one. It is sent without
    /// being stored, so that the stored value is the same as that of an Express service with the
    /// default options. `None` sends no attribute. Default: [`SameSite::Lax`]. The strict mode
    /// ignores it.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer, SameSite};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.same_site_on_wire(SameSite::Strict).build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn same_site_on_wire(self, same_site: impl Into<Option<SameSite>>) -> Self {
        let same_site = same_site.into();
        self.with(|options| options.same_site_on_wire = same_site)
    }

    /// Sets whether cookies whose session does not set `secure` are marked `Secure` in responses to
    /// requests over TLS. It is not stored either. Default: yes. The strict mode ignores it.
    pub fn secure_on_wire(self, secure: bool) -> Self {
        self.with(|options| options.secure_on_wire = secure)
    }

    /// Sets the fraction of the lifetime after which a use of the session restarts its time to live
    /// in the store (a touch). 0 touches it on each request, as Express does, except if it was
    /// touched within the same millisecond. Default: 0.1.
    ///
    /// With an idle timeout of 30 minutes a session is touched at most every three minutes, and
    /// ends between 27 and 30 minutes after its last use. The response does not wait for the touch.
    /// If a touch fails, the next request tries again. A session that lives until the absolute timeout
    /// of its store is not touched, because that cannot prolong it.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.touch_after(0.0).build()?; // on each request
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn touch_after(self, fraction: f64) -> Self {
        self.with(|options| options.touch_after = fraction)
    }

    /// Sets whether a touch also writes the `expires` date in the stored value, for a cookie with a
    /// lifetime. Default: no, as in Express. The stored date is then outdated, and a late
    /// `req.session.save()` of an Express service, which computes the time to live from it, ends
    /// the session.
    pub fn refresh_expires(self, refresh: bool) -> Self {
        self.with(|options| options.rules.refresh_expires = refresh)
    }

    /// Sets whether the changes of a request are stored if its handler answers with a server error
    /// (5xx). Default: yes, as in Express. A login, a renewal, a logout, and changes that the
    /// handler stored itself with [`save`](crate::Session::save) or
    /// [`update`](crate::Session::update) are kept in any case, but not a login that the handler failed to
    /// store.
    pub fn save_on_server_error(self, save: bool) -> Self {
        self.with(|options| options.rules.drop_on_server_error = !save)
    }

    /// Sets the result for a handler whose session cannot be read because the store is unavailable.
    /// Default: [`WhenUnavailable::Fail`].
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer, WhenUnavailable};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.when_unavailable(WhenUnavailable::Anonymous).build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn when_unavailable(self, when_unavailable: WhenUnavailable) -> Self {
        self.with(|options| options.when_unavailable = when_unavailable)
    }

    /// Sets the response to a request whose session cannot be read or stored, and to each
    /// [`Error`] that a handler returns as its response. Default: an empty response with the error's
    /// [status](Error::status).
    ///
    /// ```
    /// use axum::response::IntoResponse;
    /// use tower_express_session::{Error, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
    ///     .on_failure(|error: &Error| (error.status(), "please try again").into_response())
    ///     .build()?;
    /// # let _: axum::Router = axum::Router::new().layer(layer);
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn on_failure<B, G>(self, respond: G) -> SessionLayerBuilder<S, G>
    where
        G: Fn(&Error) -> Response<B> + Clone + Send + Sync + 'static,
    {
        let Self { store, options, accounts, on_failure: _ } = self;
        SessionLayerBuilder { store, options, accounts, on_failure: respond }
    }

    /// Also serves clients without cookies. They send the cookie's value as `Authorization: Bearer
    /// s:…` or in this header, and receive it in this header instead of a cookie. Default: off.
    ///
    /// A request with this header (empty at first) or with a bearer token that begins with `s:`
    /// neither uses nor gets a cookie. A browser never sends either on its own, so such requests
    /// need no protection against cross-site request forgery.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.token_header(http::HeaderName::from_static("session-token")).build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn token_header(self, header: HeaderName) -> Self {
        self.with(|options| options.token_header = Some(header))
    }

    /// Sets a function that is called with each [`Event`], for metrics. Requests wait for it, so it must
    /// not block.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use tower_express_session::{Event, MemoryStore, SessionLayer};
    ///
    /// let failures = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&failures);
    /// let layer = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"])
    ///     .on_event(move |event| {
    ///         if let Event::Failed(_) = event {
    ///             counter.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn on_event(self, observer: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.with(|options| options.observer = Some(Hook(Arc::new(observer))))
    }

    /// Enables the strict mode, for conformance tests: the layer behaves as express-session 1.19
    /// with connect-redis 9 in everything that can be observed from outside, even where the
    /// defaults of this crate are better. The session is loaded before the handler runs, values are
    /// written as Node would write them, writers overwrite each other, a logout does not clear the
    /// cookie, a corrupt value results in a 500, only the first cookie of the name is tried, and no
    /// attribute is added on the wire. The other options are not changed.
    pub fn strict(self) -> Self {
        self.with(|options| options.strict = true)
    }

    /// Checks the options and returns the layer.
    ///
    /// Rejects a cookie that no browser would accept, by the rules of RFC 6265bis: `SameSite=None`
    /// and `Partitioned` require `secure`; the name prefixes `__Secure-`, `__Host-`, `__Http-` and
    /// `__Host-Http-` require the attributes that they promise; values must be known, paths and
    /// domains well-formed, and a lifetime must end in the future and within 400 days. The cookie
    /// is checked without the attribute that [`secure_on_wire`](Self::secure_on_wire) would add. In
    /// strict mode everything that Express accepts is accepted.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no secret, or an empty one; otherwise [`ConfigError::Option`], which
    /// names the option.
    ///
    /// ```
    /// use tower_express_session::{ConfigError, MemoryStore, SessionLayer};
    ///
    /// let error = SessionLayer::builder(MemoryStore::new(), [""]).build().unwrap_err();
    /// assert_eq!(error, ConfigError::EmptySecret);
    ///
    /// let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let error = builder.name("my session").build().unwrap_err();
    /// assert_eq!(error.to_string(), "option name: must be a token of RFC 7230");
    /// ```
    pub fn build(self) -> Result<SessionLayer<F>, ConfigError> {
        let options = self.options?;
        options.check(timestamp::now_ms())?;
        self.store.check()?;
        let accounts = self.accounts.map(|accounts| accounts.lifetime(options.ttl));
        if let Some(accounts) = &accounts {
            accounts.check()?;
        }
        let shared = LayerState::new(options, self.store, accounts);
        Ok(SessionLayer::from_parts(shared, self.on_failure))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        if let Ok(options) = &mut self.options {
            change(options);
        }
        self
    }
}

impl<S: AccountStore, F> SessionLayerBuilder<S, F> {
    /// Keeps an index of each account's sessions in the store, so that they can be listed and
    /// revoked. The argument is the name of the attribute that holds the account, as a text or a
    /// number, or [`AccountOptions`] with more settings, such as the name in an object. See
    /// [`AccountSessions`].
    ///
    /// A session is indexed when a handler sets the attribute, and again when the session is
    /// touched. The response to a login waits for this; if the store fails, the failure is logged
    /// and the login is still valid. [`log_in`](crate::Session::log_in) stores the account in this
    /// attribute.
    ///
    /// ```
    /// # use tower_express_session::{MemoryStore, SessionLayer};
    /// # let builder = SessionLayer::builder(MemoryStore::new(), ["keyboard cat"]);
    /// let layer = builder.account_sessions("user").build()?;
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    pub fn account_sessions(mut self, options: impl Into<AccountOptions>) -> Self {
        let options = options.into();
        let attribute = options.attribute().to_owned();
        self.accounts = Some(AccountSessions::new(Arc::clone(&self.store), options));
        self.with(|options| options.account_attribute = attribute)
    }
}

impl<S, F: Clone> Clone for SessionLayerBuilder<S, F> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            options: self.options.clone(),
            accounts: self.accounts.clone(),
            on_failure: self.on_failure.clone(),
        }
    }
}

impl<S, F> fmt::Debug for SessionLayerBuilder<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
