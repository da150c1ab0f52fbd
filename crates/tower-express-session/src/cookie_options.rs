//! The cookie of new sessions, as the application configures it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::cookie::{Cookie, Slot};
use crate::error::{ConfigError, Error};

/// How important the cookie is to a browser that has too many; of Chromium's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Priority {
    /// Dropped first.
    Low,
    /// Where nothing is said.
    Medium,
    /// Dropped last.
    High,
}

/// When the browser sends the cookie along with requests from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// Never.
    Strict,
    /// When a person follows a link.
    Lax,
    /// Always; browsers ask for [`Secure`] with it.
    None,
    /// `None` over TLS, `Lax` otherwise; decided when a session is made, and stored in it.
    Auto,
}

/// Whether the browser sends the cookie over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secure {
    /// Also without TLS.
    No,
    /// Over TLS only. A request that did not come over TLS gets no cookie at all.
    Yes,
    /// As the request that made the session came; stored in the session.
    Auto,
}

/// The cookie of a new session; express-session's option `cookie`, a method for each member.
///
/// It is written into each session that is made, and goes with it: other options do not change
/// sessions that are there already.
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
    /// The defaults: `Path=/; HttpOnly`, for as long as the browser runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the cookie lives, in the browser and in the store, in whole milliseconds: `maxAge`.
    /// The browser gets it as `Expires`. Default: as long as the browser runs, and in the store the
    /// layer's [`ttl`](crate::SessionLayerBuilder::ttl).
    ///
    /// The browser's time starts again when the session changes, and with
    /// [`rolling`](crate::SessionLayerBuilder::rolling) on each response; the store's on each use.
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        self.with("maxAge", Slot::Number(max_age.as_millis() as f64))
    }

    /// The paths below which there are sessions, as a plain prefix: `/foo` covers `/foobar`, too.
    /// Handlers elsewhere get none. Default: `/`.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        self.with("path", Slot::Text(path.to_owned()))
    }

    /// The domain whose subdomains get the cookie too. Default: this host alone. After a change of it
    /// browsers may send both cookies for a while; each is tried.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        self.with("domain", Slot::Text(domain.to_owned()))
    }

    /// Whether scripts in the page are kept from the cookie. Default: yes.
    #[must_use]
    pub fn http_only(self, http_only: bool) -> Self {
        self.with("httpOnly", Slot::Bool(http_only))
    }

    /// Whether the cookie goes over TLS only. Default: [`Secure::No`].
    #[must_use]
    pub fn secure(self, secure: Secure) -> Self {
        let slot = match secure {
            Secure::No => Slot::Bool(false),
            Secure::Yes => Slot::Bool(true),
            Secure::Auto => Slot::Text("auto".to_owned()),
        };
        self.with("secure", slot)
    }

    /// Whether requests from other sites bring the cookie. Default: the cookie does not say.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        self.with("sameSite", Slot::Text(same_site.as_str().to_owned()))
    }

    /// Whether the cookie is kept apart for each top-level site (CHIPS). Default: the cookie does not
    /// say.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        self.with("partitioned", Slot::Bool(partitioned))
    }

    /// Which cookies a browser that has too many drops first. Default: the cookie does not say.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        let text = match priority {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        };
        self.with("priority", Slot::Text(text.to_owned()))
    }

    /// A day on which the cookie ends, for all sessions the same. For a lifetime from the start of
    /// each session, as nearly everybody wants it, take [`max_age`](Self::max_age).
    #[must_use]
    pub fn expires(self, at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.with("expires", Slot::Date(since.as_millis() as f64))
    }

    fn with(mut self, name: &str, value: Slot) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// Reads the options as an Express service has them in its configuration; `expires` is a date as
    /// text. Members that express-session does not know are ignored.
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
    /// [`ConfigError::Option`] for what is not such an object, and for a `maxAge` that is not a
    /// number.
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

    /// The cookie of a session that is made now, in answer to a request that came over TLS or not.
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

    /// The option that gives the cookie its lifetime.
    pub(crate) fn lifetime_option(&self) -> &'static str {
        if self.0.contains_key("maxAge") { "cookie.maxAge" } else { "cookie.expires" }
    }

    /// The prefix of the paths that have sessions.
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
