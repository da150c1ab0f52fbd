//! The options of the session layer, by express-session's names and with its meaning.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderName;
use http::request::Parts;
use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::browser::{self, Flaw};
use crate::cookie::{Cookie, Slot};
use crate::error::{ConfigError, Error, ErrorKind};
use crate::event::Event;
use crate::id::SessionId;
use crate::record::Reading;
use crate::signature::Secrets;

/// The time to live of a session whose cookie does not say one: connect-redis's 24 hours.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(86_400);

/// The bytes of a signed id in a cookie, each character that needs it percent-encoded.
const VALUE_BYTES: usize = "s%3A".len() + 32 + ".".len() + 3 * 43;

/// A tenth: a session in use costs ten writes in its lifetime, and ends at most a tenth early.
const DEFAULT_TOUCH_AFTER: f64 = 0.1;

/// What happens to the stored session when a handler [unsets](crate::Session::unset) it:
/// express-session's `'keep'` and `'destroy'`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unset {
    /// The session stays in the store as it was; changes of this request are dropped.
    #[default]
    Keep,
    /// The session is destroyed.
    Destroy,
}

/// What a handler gets when its session cannot be read because the store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// An error, which as a response is a 503 with `Retry-After`.
    #[default]
    Refuse,
    /// An empty session, as for a visitor who is not known. Nothing of it is stored and the
    /// visitor's cookie stays as it is; a request that changes the session is answered 503.
    Anonymous,
}

/// How important the cookie is to a browser that has too many; of Chromium's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// layer's [`ttl`](crate::SessionLayer::ttl).
    ///
    /// The browser's time starts again when the session changes, and with
    /// [`rolling`](crate::SessionLayer::rolling) on each response; the store's on each use.
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

/// Everything that a request needs to know of the settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) secrets: Secrets,
    pub(crate) cookie: CookieOptions,
    pub(crate) ttl: Duration,
    pub(crate) rules: Rules,
    pub(crate) unset: Unset,
    /// Whether `X-Forwarded-Proto` says how the request came.
    pub(crate) proxy: bool,
    /// `SameSite` of cookies whose session does not say; on the wire only, never stored.
    pub(crate) same_site_on_wire: Option<SameSite>,
    /// `Secure` on every cookie that answers a request over TLS; on the wire only, never stored.
    pub(crate) secure_on_wire: bool,
    /// Everything as Express does it, also where the defaults of this crate are better.
    pub(crate) strict: bool,
    /// A session is touched when this part of its lifetime has gone by.
    pub(crate) touch_after: f64,
    pub(crate) when_away: WhenAway,
    /// The header in which programs without cookies send and get the signed value.
    pub(crate) token_header: Option<HeaderName>,
    pub(crate) cookie_of: Option<Hook<CookieOf>>,
    pub(crate) generate_id: Option<Hook<dyn Fn() -> String + Send + Sync>>,
    pub(crate) observer: Option<Hook<dyn Fn(Event) + Send + Sync>>,
}

type CookieOf = dyn Fn(&Parts) -> CookieOptions + Send + Sync;

/// Something that the application does for the layer.
pub(crate) struct Hook<F: ?Sized>(pub(crate) Arc<F>);

/// The options that decide when a session is written and when its cookie is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) resave: bool,
    pub(crate) rolling: bool,
    pub(crate) save_uninitialized: bool,
    /// A touch writes the session, so that the end of its cookie stands in it.
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
            same_site_on_wire: None,
            secure_on_wire: false,
            strict: false,
            touch_after: DEFAULT_TOUCH_AFTER,
            when_away: WhenAway::Refuse,
            token_header: None,
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

    pub(crate) fn tell(&self, event: Event) {
        if let Some(observer) = &self.observer {
            (observer.0)(event);
        }
    }

    pub(crate) fn reading(&self) -> Reading {
        if self.strict { Reading::AsNode } else { Reading::Verbatim }
    }

    /// Whether a browser would take the cookies that these options make.
    pub(crate) fn check(&self, now_ms: f64) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.touch_after) {
            return Err(ConfigError::option("touch_after", "must be from 0 to 1"));
        }
        let flaw = |(option, rule): Flaw| Err(ConfigError::option(option, rule));
        if let Some(found) = browser::name_flaw(&self.name, VALUE_BYTES) {
            return flaw(found);
        }
        let cookie = self.cookie.make(true, now_ms).map_err(|_| {
            ConfigError::option("cookie.maxAge", "must be a number of milliseconds")
        })?;
        // As Express: what it takes is taken.
        if self.strict {
            return Ok(());
        }
        let lifetime = match self.cookie.0.contains_key("maxAge") {
            true => "cookie.maxAge",
            false => "cookie.expires",
        };
        let found = browser::cookie_flaw(&self.name, &self.on_wire(&cookie, true));
        match found.or_else(|| browser::lifetime_flaw(lifetime, &cookie)) {
            Some(found) => flaw(found),
            None => Ok(()),
        }
    }

    /// The cookie with the attributes that are sent without being stored.
    pub(crate) fn on_wire(&self, cookie: &Cookie, secure: bool) -> Cookie {
        let mut cookie = cookie.clone();
        if let (Slot::Undefined, Some(same_site)) = (&cookie.same_site, self.same_site_on_wire) {
            cookie.same_site = Slot::Text(same_site.as_str().to_owned());
        }
        if self.secure_on_wire && secure {
            cookie.secure = Slot::Bool(true);
        }
        cookie
    }

    /// Refuses a change of a session's cookie after which no browser accepts it.
    pub(crate) fn check_change(&self, before: &Cookie, after: &Cookie) -> Result<(), Error> {
        let flaw = |cookie: &Cookie| {
            let found = browser::cookie_flaw(&self.name, &self.on_wire(cookie, true));
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
