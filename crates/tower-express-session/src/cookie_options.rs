//! The cookie of new sessions, as the application configures it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::cookie::{Cookie, Slot};
use crate::error::{ConfigError, Error};

/// The order in which a browser that has too many cookies drops them; an extension of Chromium.
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

/// When the browser sends the cookie along with requests from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// The browser never sends it.
    Strict,
    /// The browser sends it when a person follows a link.
    Lax,
    /// The browser always sends it. Browsers require [`Secure`] with it.
    None,
    /// `None` over TLS, `Lax` otherwise. It is decided when a session is created, and stored in it.
    Auto,
}

/// Whether the browser sends the cookie over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secure {
    /// The browser sends it also without TLS.
    No,
    /// The browser sends it over TLS only. A request that did not come over TLS gets no cookie at all.
    Yes,
    /// Over TLS only, if the request that created the session came over TLS. It is stored in the session.
    Auto,
}

/// The cookie of new sessions: express-session's option `cookie`, with a method for each member.
///
/// It is stored in each new session. Other options do not change the sessions that exist already.
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
pub struct CookieOptions(IndexMap<String, Slot>);

impl CookieOptions {
    /// Returns the defaults: `Path=/; HttpOnly`, for as long as the browser runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long the cookie lives, in the browser and in the store, in whole milliseconds: `maxAge`.
    /// It is sent as `Expires`. Default: as long as the browser runs, and in the store the
    /// layer's [`ttl`](crate::SessionLayerBuilder::ttl).
    ///
    /// In the browser the time starts again when the session changes, and with
    /// [`rolling`](crate::SessionLayerBuilder::rolling) on each response. In the store it starts again
    /// on each use.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.with("maxAge", Slot::Number(max_age.as_millis() as f64))
    }

    /// Sets the prefix of the paths that have sessions. It is a plain prefix: `/foo` covers `/foobar`,
    /// too. Handlers of other paths get no session. Default: `/`.
    ///
    /// ```
    /// # use tower_express_session::CookieOptions;
    /// let cookie = CookieOptions::new().path("/app").domain("example.com");
    /// ```
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.with("path", Slot::Text(path.to_owned()))
    }

    /// Sets the domain whose subdomains get the cookie, too. Default: this host alone. After a change
    /// browsers may send both cookies for a while; each is tried.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.with("domain", Slot::Text(domain.to_owned()))
    }

    /// Sets whether the cookie is hidden from scripts in the page. Default: yes.
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        self.with("httpOnly", Slot::Bool(http_only))
    }

    /// Sets whether the browser sends the cookie over TLS only. Default: [`Secure::No`]; see also
    /// [`secure_on_wire`](crate::SessionLayerBuilder::secure_on_wire).
    #[must_use]
    pub fn secure(self, secure: Secure) -> Self {
        let slot = match secure {
            Secure::No => Slot::Bool(false),
            Secure::Yes => Slot::Bool(true),
            Secure::Auto => Slot::Text("auto".to_owned()),
        };
        self.with("secure", slot)
    }

    /// Sets whether requests from other sites bring the cookie. Default: nothing is stored; see also
    /// [`same_site_on_wire`](crate::SessionLayerBuilder::same_site_on_wire).
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.with("sameSite", Slot::Text(same_site.as_str().to_owned()))
    }

    /// Sets whether the cookie is separate for each top-level site (CHIPS). Default: no attribute.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        self.with("partitioned", Slot::Bool(partitioned))
    }

    /// Sets which cookies a browser that has too many drops first. Default: no attribute.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        let text = match priority {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        };
        self.with("priority", Slot::Text(text.to_owned()))
    }

    /// Sets the time at which the cookies of all sessions end. Nearly every service wants a lifetime from
    /// the start of each session instead: [`max_age`](Self::max_age).
    #[must_use]
    pub fn expires(self, at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.with("expires", Slot::Date(since.as_millis() as f64))
    }

    fn with(mut self, name: &str, value: Slot) -> Self {
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
        let members: IndexMap<String, &RawValue> = serde_json::from_str(json)
            .map_err(|cause| ConfigError::option("cookie", cause.to_string()))?;
        let slots = members.into_iter().map(|(name, raw)| {
            match (name.as_str(), Slot::from_json(raw.get())) {
                ("expires", Slot::Text(text)) => {
                    let ms = crate::timestamp::parse(&text).unwrap_or(f64::NAN);
                    Ok((name, Slot::Date(ms)))
                }
                ("maxAge", slot) if slot.is_truthy() && !matches!(slot, Slot::Number(_)) => {
                    Err(ConfigError::option("cookie.maxAge", "must be a number of milliseconds"))
                }
                (_, slot) => Ok((name, slot)),
            }
        });
        slots.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the cookie of a session that is created now, by a request that came over TLS or not.
    pub(crate) fn make(&self, secure: bool, now_ms: f64) -> Result<Cookie, Error> {
        let mut cookie =
            Cookie::new(self.0.iter().map(|(name, slot)| (name.as_str(), slot)), now_ms)?;
        if is_auto(&cookie.secure) {
            cookie.secure = Slot::Bool(secure);
        }
        if is_auto(&cookie.same_site) {
            let same_site = if secure { SameSite::None } else { SameSite::Lax };
            cookie.same_site = Slot::Text(same_site.as_str().to_owned());
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
            Some(Slot::Text(path)) if !path.is_empty() => path,
            _ => "/",
        }
    }
}

fn is_auto(slot: &Slot) -> bool {
    matches!(slot, Slot::Text(text) if text == "auto")
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
