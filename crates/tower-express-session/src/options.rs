//! The options of the session layer, with the names and meanings of express-session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::request::Parts;

use crate::browser::{self, Flaw};
use crate::cookie::{Cookie, JsValue};
use crate::cookie_options::{CookieOptions, SameSite};
use crate::error::{ConfigError, Error, ErrorKind};
use crate::event::Event;
use crate::id::SessionId;
use crate::record::is_allowed;
use crate::signature::Secrets;

/// The time to live of a session whose cookie has no `maxAge`: connect-redis's 24 hours.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(86_400);

/// The maximum number of bytes of a signed id in a cookie, percent-encoded.
const VALUE_BYTES: usize = "s%3A".len() + 32 + ".".len() + 3 * 43;

/// A tenth: a session in use needs ten touches per lifetime, and ends at most a tenth of the
/// lifetime early.
const DEFAULT_TOUCH_AFTER: f64 = 0.1;

/// The fate of the stored session when a handler [unsets](crate::raw::RawSession::unset) it:
/// express-session's `'keep'` and `'destroy'`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unset {
    /// The stored session is kept unchanged; changes of this request are discarded.
    #[default]
    Keep,
    /// The session is deleted from the store.
    Destroy,
}

/// The result for a handler whose session cannot be read because the store is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenUnavailable {
    /// The handler gets an error, which as a response is a 503 with `Retry-After`.
    #[default]
    Fail,
    /// The handler gets an empty session, as for an unknown visitor. The session is never stored,
    /// and the visitor's cookie is not changed. If the handler changes the session, the response is
    /// a 503.
    Anonymous,
}

/// All settings of a layer that a request needs.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) secrets: Secrets,
    pub(crate) cookie: CookieOptions,
    pub(crate) ttl: Duration,
    pub(crate) rules: Rules,
    pub(crate) unset: Unset,
    /// Whether `X-Forwarded-Proto` is trusted.
    pub(crate) proxy: bool,
    /// `SameSite` of cookies whose session does not set it; on the wire only, never stored.
    pub(crate) same_site_on_wire: Option<SameSite>,
    /// `Secure` on cookies whose session does not set it, in responses to requests over TLS; on the wire
    /// only, never stored.
    pub(crate) secure_on_wire: bool,
    /// Whether everything is as in Express, even where the defaults of this crate are better.
    pub(crate) strict: bool,
    /// The fraction of a session's lifetime after which it is touched.
    pub(crate) touch_after: f64,
    pub(crate) when_unavailable: WhenUnavailable,
    /// The header in which clients without cookies send and receive the signed value.
    pub(crate) token_header: Option<HeaderName>,
    /// The attribute that names the account.
    pub(crate) account_attribute: String,
    pub(crate) cookie_of: Option<Hook<CookieOf>>,
    pub(crate) generate_id: Option<Hook<dyn Fn() -> String + Send + Sync>>,
    pub(crate) observer: Option<Hook<dyn Fn(Event) + Send + Sync>>,
}

type CookieOf = dyn Fn(&Parts) -> CookieOptions + Send + Sync;

/// A function of the application that the layer calls.
pub(crate) struct Hook<F: ?Sized>(pub(crate) Arc<F>);

/// The options that decide when a session is written and when its cookie is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) resave: bool,
    pub(crate) rolling: bool,
    pub(crate) save_uninitialized: bool,
    /// Whether changes are discarded if the handler responds with a server error.
    pub(crate) drop_on_server_error: bool,
    /// Whether a touch writes the session, so that `cookie.expires` in the stored value is up to
    /// date.
    pub(crate) refresh_expires: bool,
}

impl Options {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            name: "connect.sid".to_owned(),
            secrets,
            cookie: CookieOptions::default(),
            ttl: DEFAULT_TTL,
            rules: Rules::default(),
            unset: Unset::Keep,
            proxy: false,
            same_site_on_wire: Some(SameSite::Lax),
            secure_on_wire: true,
            strict: false,
            touch_after: DEFAULT_TOUCH_AFTER,
            when_unavailable: WhenUnavailable::Fail,
            token_header: None,
            account_attribute: "user".to_owned(),
            cookie_of: None,
            generate_id: None,
            observer: None,
        }
    }

    pub(crate) fn new_id(&self) -> Result<SessionId, Error> {
        match &self.generate_id {
            Some(generate) => Ok(SessionId::from((generate.0)().as_str())),
            None => SessionId::generate(),
        }
    }

    pub(crate) fn emit(&self, event: Event) {
        if let Some(observer) = &self.observer {
            (observer.0)(event);
        }
    }

    /// Checks the options, alone and together.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] names the option.
    pub(crate) fn check(&self, now_ms: f64) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.touch_after) {
            return Err(ConfigError::option("touch_after", "must be from 0 to 1"));
        }
        if self.ttl < Duration::from_secs(1) {
            return Err(ConfigError::option("ttl", "must be at least one second"));
        }
        if self.token_header.as_ref().is_some_and(is_taken) {
            return Err(ConfigError::option(
                "token_header",
                "must not be Authorization, Cookie or Set-Cookie",
            ));
        }
        if self.account_attribute.is_empty() || !is_allowed(self.account_attribute.as_bytes()) {
            return Err(ConfigError::option(
                "account_sessions",
                "must not be a name that express-session reserves",
            ));
        }
        self.check_cookie(now_ms)
    }

    /// Checks that a browser accepts the cookies that these options produce.
    fn check_cookie(&self, now_ms: f64) -> Result<(), ConfigError> {
        let flaw = |(option, rule): Flaw| Err(ConfigError::option(option, rule));
        let cookie = self.cookie.make(true, now_ms).map_err(|_| {
            ConfigError::option("cookie.maxAge", "must be a number of milliseconds")
        })?;
        // The strict mode accepts what Express accepts.
        if self.strict {
            return Ok(());
        }
        if let Some(found) = browser::name_flaw(&self.name, VALUE_BYTES) {
            return flaw(found);
        }
        if self.same_site_on_wire == Some(SameSite::Auto) {
            let rule = "must be Strict, Lax or None (only cookie.sameSite may be Auto)";
            return Err(ConfigError::option("same_site_on_wire", rule));
        }
        let found = browser::cookie_flaw(&self.name, &self.on_wire(&cookie, false));
        match found.or_else(|| browser::lifetime_flaw(self.cookie.lifetime_option(), &cookie)) {
            Some(found) => flaw(found),
            None => Ok(()),
        }
    }

    /// Returns the cookie with the attributes that are sent without being stored. Attributes that
    /// the session itself sets are not changed.
    pub(crate) fn on_wire(&self, cookie: &Cookie, secure: bool) -> Cookie {
        let mut cookie = cookie.clone();
        if self.strict {
            return cookie;
        }
        if let (JsValue::Undefined, Some(same_site)) = (&cookie.same_site, self.same_site_on_wire) {
            cookie.same_site = JsValue::Text(same_site.as_str().to_owned());
        }
        if self.secure_on_wire && secure && cookie.secure.is_nullish() {
            cookie.secure = JsValue::Bool(true);
        }
        cookie
    }

    /// Rejects a change of a session's cookie after which no browser would accept the cookie.
    pub(crate) fn check_change(&self, before: &Cookie, after: &Cookie) -> Result<(), Error> {
        let flaw = |cookie: &Cookie| {
            let found = browser::cookie_flaw(&self.name, &self.on_wire(cookie, false));
            let is_long = cookie.original_max_age() > Some(browser::LONGEST_LIFE);
            found.or_else(|| {
                is_long.then(|| browser::lifetime_flaw("cookie.maxAge", cookie)).flatten()
            })
        };
        match flaw(after) {
            Some(found) if !self.strict && flaw(before) != Some(found) => {
                let (option, rule) = found;
                Err(Error::new(ErrorKind::Cookie, format!("{option} {rule}")))
            }
            _ => Ok(()),
        }
    }
}

fn is_taken(header: &HeaderName) -> bool {
    [AUTHORIZATION, COOKIE, SET_COOKIE].contains(header)
}

impl<F: ?Sized> Clone for Hook<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ?Sized> fmt::Debug for Hook<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
