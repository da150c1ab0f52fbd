//! The cookie of new sessions, as the application configures it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::cookie::{Cookie, JsValue};
use crate::error::{ConfigError, Error};

/// The order in which a browser with too many cookies drops them; an extension of Chromium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Priority {
    /// Dropped first.
    Low,
    /// The default of browsers.
    Medium,
    /// Dropped last.
    High,
}

/// Whether the browser sends the cookie with requests from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// The browser never sends it.
    Strict,
    /// The browser sends it when the user follows a link.
    Lax,
    /// The browser always sends it. Browsers require [`Secure`] with it.
    None,
    /// `None` if the session was created over TLS, otherwise `Lax`. The choice is stored in the
    /// session.
    Auto,
}

/// Whether the browser sends the cookie over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secure {
    /// The browser sends it with and without TLS.
    No,
    /// The browser sends it over TLS only. A request without TLS gets no cookie at all.
    Yes,
    /// `Yes` if the session was created over TLS, otherwise `No`. The choice is stored in the
    /// session.
    Auto,
}

/// The cookie of new sessions: express-session's option `cookie`, with a method for each member.
///
/// It is stored in each new session. Changing the options does not change existing sessions.
///
/// ```
/// use std::time::Duration;
/// use tower_express_session::{CookieOptions, SameSite, Secure};
///
/// let cookie = CookieOptions::new()
///     .max_age(Duration::from_secs(3600))
///     .same_site(SameSite::Lax)
///     .secure(Secure::Auto);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CookieOptions(IndexMap<String, JsValue>);

impl CookieOptions {
    /// Returns the defaults: `Path=/; HttpOnly`, until the browser is closed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the lifetime of the cookie in the browser and of the session in the store, in whole
    /// milliseconds: `maxAge`. It is sent as `Expires`. Default: in the browser until it is closed,
    /// in the store the layer's [`ttl`](crate::SessionLayerBuilder::ttl).
    ///
    /// In the browser the lifetime restarts when the session changes, and with
    /// [`rolling`](crate::SessionLayerBuilder::rolling) on each response. In the store it restarts
    /// on each use.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.with("maxAge", JsValue::Number(max_age.as_millis() as f64))
    }

    /// Sets the prefix of the paths that have sessions. It is a plain text prefix: `/foo` also
    /// covers `/foobar`. Handlers of other paths get no session. Default: `/`.
    ///
    /// ```
    /// # use tower_express_session::CookieOptions;
    /// let cookie = CookieOptions::new().path("/app").domain("example.com");
    /// ```
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.with("path", JsValue::Text(path.to_owned()))
    }

    /// Sets the domain whose subdomains also get the cookie. Default: this host only. After a
    /// change of the domain, browsers may send both cookies for a while; each is tried.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.with("domain", JsValue::Text(domain.to_owned()))
    }

    /// Sets whether the cookie is hidden from scripts in the page. Default: yes.
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        self.with("httpOnly", JsValue::Bool(http_only))
    }

    /// Sets whether the browser sends the cookie over TLS only. Default: [`Secure::No`]; see also
    /// [`secure_on_wire`](crate::SessionLayerBuilder::secure_on_wire).
    #[must_use]
    pub fn secure(self, secure: Secure) -> Self {
        let value = match secure {
            Secure::No => JsValue::Bool(false),
            Secure::Yes => JsValue::Bool(true),
            Secure::Auto => JsValue::Text("auto".to_owned()),
        };
        self.with("secure", value)
    }

    /// Sets whether requests from other sites carry the cookie. Default: nothing is stored; see
    /// also [`same_site_on_wire`](crate::SessionLayerBuilder::same_site_on_wire).
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.with("sameSite", JsValue::Text(same_site.as_str().to_owned()))
    }

    /// Sets whether the cookie is separate for each top-level site (CHIPS). Default: no attribute.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        self.with("partitioned", JsValue::Bool(partitioned))
    }

    /// Sets the order in which a browser with too many cookies drops them. Default: no attribute.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        let text = match priority {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        };
        self.with("priority", JsValue::Text(text.to_owned()))
    }

    /// Sets one date at which the cookies of all sessions expire. Most services need a lifetime for
    /// each session instead: [`max_age`](Self::max_age).
    #[must_use]
    pub fn expires(self, at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.with("expires", JsValue::Date(since.as_millis() as f64))
    }

    fn with(mut self, name: &str, value: JsValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Reads the options from the JSON object of an Express service's configuration; `expires` is a date
    /// as text. Members that express-session does not know are ignored.
    ///
    /// ```
    /// use tower_express_session::CookieOptions;
    ///
    /// let cookie = CookieOptions::from_json(r#"{"maxAge":3600000,"sameSite":"lax"}"#)?;
    /// assert!(CookieOptions::from_json(r#"{"maxAge":"an hour"}"#).is_err());
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] if the text is not such an object, or its `maxAge` is not a number.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let members: IndexMap<String, &RawValue> = serde_json::from_str(json).map_err(|cause| {
            ConfigError::option("cookie", format!("must be an object: {cause}"))
        })?;
        let values = members.into_iter().map(|(name, raw)| {
            match (name.as_str(), JsValue::from_json(raw.get())) {
                ("expires", JsValue::Text(text)) => {
                    let ms = crate::timestamp::parse(&text).unwrap_or(f64::NAN);
                    Ok((name, JsValue::Date(ms)))
                }
                ("maxAge", value) if value.is_truthy() && !matches!(value, JsValue::Number(_)) => {
                    Err(ConfigError::option("cookie.maxAge", "must be a number of milliseconds"))
                }
                (_, value) => Ok((name, value)),
            }
        });
        values.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the cookie of a session that is created now. `secure` tells whether the request came
    /// over TLS.
    pub(crate) fn make(&self, secure: bool, now_ms: f64) -> Result<Cookie, Error> {
        let mut cookie =
            Cookie::new(self.0.iter().map(|(name, value)| (name.as_str(), value)), now_ms)?;
        if is_auto(&cookie.secure) {
            cookie.secure = JsValue::Bool(secure);
        }
        if is_auto(&cookie.same_site) {
            let same_site = if secure { SameSite::None } else { SameSite::Lax };
            cookie.same_site = JsValue::Text(same_site.as_str().to_owned());
        }
        Ok(cookie)
    }

    /// Returns the option that sets the cookie's lifetime.
    pub(crate) fn lifetime_option(&self) -> &'static str {
        if self.0.contains_key("maxAge") { "cookie.maxAge" } else { "cookie.expires" }
    }

    /// Returns the prefix of the paths that have sessions.
    pub(crate) fn path_prefix(&self) -> &str {
        match self.0.get("path") {
            Some(JsValue::Text(path)) if !path.is_empty() => path,
            _ => "/",
        }
    }
}

fn is_auto(value: &JsValue) -> bool {
    matches!(value, JsValue::Text(text) if text == "auto")
}

impl SameSite {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lax => "lax",
            Self::None => "none",
            Self::Auto => "auto",
        }
    }
}
