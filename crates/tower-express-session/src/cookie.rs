//! The session's cookie as a JavaScript object, as express-session's `Cookie` holds and writes it.
//!
//! An Express service may store any JSON value in any of the cookie's fields, and writes back the
//! value that it read. So each field is a [`JsValue`], a small JavaScript value, and the setters
//! follow the rules of `session/cookie.js`. The typed methods build on them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};
use crate::js;
use crate::timestamp;

/// A JavaScript value in one of the cookie's fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsValue {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    /// Milliseconds since 1970; NaN is JavaScript's `Invalid Date`.
    Date(f64),
    Text(String),
    /// An object, an array, or a text with lone surrogates, as JSON.
    Other(String),
}

impl JsValue {
    /// Reads valid JSON without white space around it.
    pub(crate) fn from_json(raw: &str) -> Self {
        let other = || Self::Other(js::normalise(raw).json.into_owned());
        match raw.as_bytes()[0] {
            b'n' => Self::Null,
            b't' => Self::Bool(true),
            b'f' => Self::Bool(false),
            b'"' => String::from_utf8(js::read_text(raw)).map_or_else(|_| other(), Self::Text),
            b'{' | b'[' => other(),
            _ => match js::read_number(raw) {
                // As in `JSON.stringify`, an overflow is `null`.
                number if number.is_finite() => Self::Number(number),
                _ => Self::Null,
            },
        }
    }

    /// Returns JavaScript's `Boolean(value)`.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::Date(_) | Self::Other(_) => true,
        }
    }

    /// Returns JavaScript's `value == null`.
    pub(crate) fn is_nullish(&self) -> bool {
        matches!(self, Self::Undefined | Self::Null)
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Undefined | Self::Null => out.extend(b"null"),
            Self::Bool(value) => out.extend(value.to_string().bytes()),
            Self::Number(number) => js::write_number(out, *number),
            Self::Date(ms) => match timestamp::to_iso(*ms) {
                Some(text) => js::write_text(out, text.as_bytes()),
                None => out.extend(b"null"),
            },
            Self::Text(text) => js::write_text(out, text.as_bytes()),
            Self::Other(json) => out.extend(json.bytes()),
        }
    }
}

/// A session's cookie: its lifetime and its attributes.
///
/// The typed methods cover what a Rust service needs. Other values that an Express service stored, such
/// as `"priority":"HIGH"` or `"expires":false`, are kept and written back.
///
/// ```
/// use std::time::SystemTime;
/// use tower_express_session::{Error, Session};
///
/// fn seconds_left(session: &Session) -> Result<Option<u64>, Error> {
///     let left = session.raw().cookie()?.expires().map(|end| end.duration_since(SystemTime::now()));
///     Ok(left.map(|left| left.unwrap_or_default().as_secs()))
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Cookie {
    pub(crate) original_max_age: JsValue,
    pub(crate) partitioned: JsValue,
    pub(crate) priority: JsValue,
    pub(crate) expires: JsValue,
    pub(crate) secure: JsValue,
    pub(crate) http_only: JsValue,
    pub(crate) domain: JsValue,
    pub(crate) path: JsValue,
    pub(crate) same_site: JsValue,
}

impl Cookie {
    /// Returns `new Cookie(options)`: the defaults, then each option in the order given.
    pub(crate) fn new<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a JsValue)>,
        now_ms: f64,
    ) -> Result<Self, Error> {
        let mut cookie = Self::without_options();
        for (name, value) in options {
            cookie.assign(name, value.clone(), now_ms)?;
        }
        if cookie.original_max_age.is_nullish() {
            cookie.original_max_age = cookie.max_age_value(now_ms);
        }
        Ok(cookie)
    }

    /// Returns `new Cookie()`.
    fn without_options() -> Self {
        Self {
            original_max_age: JsValue::Null,
            partitioned: JsValue::Undefined,
            priority: JsValue::Undefined,
            expires: JsValue::Null,
            secure: JsValue::Undefined,
            http_only: JsValue::Bool(true),
            domain: JsValue::Undefined,
            path: JsValue::Text("/".to_owned()),
            same_site: JsValue::Undefined,
        }
    }

    /// Reads the `cookie` member of a stored session, as `Store.prototype.createSession` does.
    pub(crate) fn from_json(raw: &str, now_ms: f64) -> Result<Self, Error> {
        let mut fields = Vec::with_capacity(FIELDS.len());
        match raw.as_bytes()[0] {
            b'{' => js::each_member(raw, |name, value| keep_field(&mut fields, &name, value))
                .map_err(|cause| Error::new(ErrorKind::Corrupt, cause))?,
            b'[' => {}
            // `null.expires` throws, and so does `new Cookie` with anything but an object.
            b'n' => return Err(ErrorKind::Corrupt.into()),
            _ if JsValue::from_json(raw).is_truthy() => return Err(ErrorKind::Corrupt.into()),
            _ => {}
        }
        let mut cookie = Self::without_options();
        let (mut original_max_age, mut expires) = (JsValue::Undefined, None);
        for (name, raw) in fields {
            let value = JsValue::from_json(raw);
            match (name, &value) {
                ("originalMaxAge", _) => original_max_age = value.clone(),
                ("expires", JsValue::Text(text)) => {
                    expires = Some(JsValue::Date(timestamp::parse(text).unwrap_or(f64::NAN)));
                }
                _ => {}
            }
            cookie.assign(name, value, now_ms).map_err(|_| ErrorKind::Corrupt)?;
        }
        cookie.original_max_age = original_max_age;
        cookie.expires = expires.unwrap_or(cookie.expires);
        Ok(cookie)
    }

    /// Executes `cookie[name] = value`, with the setters of `expires` and `maxAge`. An unknown name
    /// is accepted and ignored, because express-session does not store it.
    pub(crate) fn assign(&mut self, name: &str, value: JsValue, now_ms: f64) -> Result<(), Error> {
        match name {
            "maxAge" => return self.assign_max_age(value, now_ms),
            "expires" => self.assign_expires(value, now_ms),
            "originalMaxAge" => self.original_max_age = value,
            "partitioned" => self.partitioned = value,
            "priority" => self.priority = value,
            "secure" => self.secure = value,
            "httpOnly" => self.http_only = value,
            "domain" => self.domain = value,
            "path" => self.path = value,
            "sameSite" => self.same_site = value,
            _ => {}
        }
        Ok(())
    }

    fn assign_max_age(&mut self, value: JsValue, now_ms: f64) -> Result<(), Error> {
        let expires = match value {
            JsValue::Number(ms) => JsValue::Date(timestamp::clip(now_ms + ms)),
            other if is_max_age(&other) => other,
            _ => return Err(ErrorKind::Cookie.into()),
        };
        self.assign_expires(expires, now_ms);
        Ok(())
    }

    fn assign_expires(&mut self, value: JsValue, now_ms: f64) {
        self.expires = value;
        self.original_max_age = self.max_age_value(now_ms);
    }

    fn max_age_value(&self, now_ms: f64) -> JsValue {
        match &self.expires {
            JsValue::Date(ms) => JsValue::Number(ms - now_ms),
            other => other.clone(),
        }
    }

    /// Executes `session.touch()`: restarts the whole lifetime. A cookie that has none, as most
    /// have, stays as it is and is not copied.
    pub(crate) fn touch(cookie: &mut Arc<Self>, now_ms: f64) -> Result<(), Error> {
        let max_age = &cookie.original_max_age;
        if max_age.is_nullish() && *max_age == cookie.expires {
            return Ok(());
        }
        let max_age = max_age.clone();
        Arc::make_mut(cookie).assign_max_age(max_age, now_ms)
    }

    /// Returns whether a touch succeeds.
    pub(crate) fn can_be_touched(&self) -> bool {
        is_max_age(&self.original_max_age)
    }

    /// Returns the time to live in the store in whole seconds, as connect-redis computes it: from
    /// `expires` if it is set, otherwise `default`. `None` means that the session has expired.
    pub(crate) fn time_to_live(&self, now_ms: f64, default: Duration) -> Option<Duration> {
        if !self.expires.is_truthy() {
            return Some(default);
        }
        let expires = match &self.expires {
            JsValue::Date(ms) | JsValue::Number(ms) => *ms,
            JsValue::Text(text) => timestamp::parse(text).unwrap_or(f64::NAN),
            JsValue::Bool(_) => 1.0, // `new Date(true)`
            _ => f64::NAN,
        };
        let seconds = ((expires - now_ms) / 1000.0).ceil();
        (seconds > 0.0).then(|| Duration::from_secs(seconds as u64))
    }

    /// Appends the cookie's JSON, with the fields in express-session's order.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        let fields = [
            ("originalMaxAge", &self.original_max_age),
            ("partitioned", &self.partitioned),
            ("priority", &self.priority),
            ("expires", &self.expires),
            ("secure", &self.secure),
            ("httpOnly", &self.http_only),
            ("domain", &self.domain),
            ("path", &self.path),
            ("sameSite", &self.same_site),
        ];
        let mut separator = b'{';
        for (name, value) in fields.into_iter().filter(|(_, value)| **value != JsValue::Undefined) {
            out.push(std::mem::replace(&mut separator, b','));
            out.push(b'"');
            out.extend(name.bytes());
            out.extend(b"\":");
            value.write_json(out);
        }
        out.extend(if separator == b'{' { &b"{}"[..] } else { b"}" });
    }

    /// Returns when the browser drops the cookie; `None` for a cookie that lasts until the browser
    /// is closed.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        match self.expires {
            JsValue::Date(ms) if ms >= 0.0 => {
                UNIX_EPOCH.checked_add(Duration::from_millis(ms as u64))
            }
            JsValue::Date(ms) if ms < 0.0 => Some(UNIX_EPOCH),
            _ => None,
        }
    }

    /// Returns the lifetime that a touch restarts; `None` for a cookie that lasts until the browser
    /// is closed.
    #[must_use]
    pub fn original_max_age(&self) -> Option<Duration> {
        match self.original_max_age {
            JsValue::Number(ms) if ms >= 0.0 => Some(Duration::from_millis(ms as u64)),
            _ => None,
        }
    }
}

/// Returns whether the setter of `maxAge` accepts the value.
fn is_max_age(value: &JsValue) -> bool {
    !value.is_truthy() || matches!(value, JsValue::Number(_) | JsValue::Date(_))
}

/// The members of the cookie object that `new Cookie` reads; others are ignored.
const FIELDS: [&str; 10] = [
    "originalMaxAge",
    "partitioned",
    "priority",
    "expires",
    "maxAge",
    "secure",
    "httpOnly",
    "domain",
    "path",
    "sameSite",
];

/// Keeps a member of the cookie object. If a name occurs several times, the last value counts, at
/// the position of the first.
fn keep_field<'a>(fields: &mut Vec<(&'static str, &'a str)>, name: &[u8], raw: &'a str) {
    let Some(name) = FIELDS.into_iter().find(|field| field.as_bytes() == name) else { return };
    match fields.iter_mut().find(|(kept, _)| *kept == name) {
        Some((_, kept)) => *kept = raw,
        None => fields.push((name, raw)),
    }
}
