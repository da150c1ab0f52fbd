//! The rules of RFC 6265bis for a cookie's name and attributes, which browsers apply.
//!
//! A browser silently drops a cookie that breaks one of them, or stores it with other attributes
//! than the service set.

use std::time::Duration;

use crate::cookie::{Cookie, JsValue};
use crate::header;

/// The maximum lifetime of a cookie in browsers (RFC 6265bis, 5.5).
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(400 * 86_400);

/// The maximum number of bytes of name and value together, and of one attribute.
const MAX_PAIR_BYTES: usize = 4096;
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// An option and the rule that it breaks.
pub(crate) type Flaw = (&'static str, &'static str);

/// Returns the first rule that the name breaks; `value_bytes` is the length of the value.
pub(crate) fn name_flaw(name: &str, value_bytes: usize) -> Option<Flaw> {
    if !header::is_token(name) {
        return Some(("name", "must be a token of RFC 7230"));
    }
    let is_long = name.len() + value_bytes > MAX_PAIR_BYTES;
    is_long.then_some((
        "name",
        "must be shorter: name and value together must have at most 4096 bytes",
    ))
}

/// Returns the first rule that a cookie with this name breaks when it is sent over TLS.
pub(crate) fn cookie_flaw(name: &str, cookie: &Cookie) -> Option<Flaw> {
    domain(&cookie.domain)
        .or_else(|| path(&cookie.path))
        .or_else(|| priority(&cookie.priority))
        .or_else(|| same_site(&cookie.same_site, is_secure(cookie)))
        .or_else(|| {
            let is_open = cookie.partitioned.is_truthy() && !is_secure(cookie);
            is_open.then_some(("cookie.partitioned", "must be combined with secure"))
        })
        .or_else(|| prefix(name, cookie))
}

/// Returns the rule that a cookie's lifetime breaks; `option` is the option that sets it.
pub(crate) fn lifetime_flaw(option: &'static str, cookie: &Cookie) -> Option<Flaw> {
    let longest_ms = LONGEST_LIFE.as_millis() as f64;
    let rule = match cookie.original_max_age {
        JsValue::Undefined | JsValue::Null | JsValue::Bool(false) => return None,
        JsValue::Number(ms) if ms > longest_ms => {
            "must end within 400 days, the maximum of browsers"
        }
        JsValue::Number(ms) if ms > 0.0 => return None,
        _ => "must end in the future",
    };
    Some((option, rule))
}

fn is_secure(cookie: &Cookie) -> bool {
    cookie.secure.is_truthy()
}

fn domain(value: &JsValue) -> Option<Flaw> {
    let is_host = |text: &str| text.is_empty() || text.len() <= 254 && header::is_domain(text);
    text(value, is_host).then_some(("cookie.domain", "must be a host name"))
}

fn path(value: &JsValue) -> Option<Flaw> {
    let rule = "must begin with `/` and be printable ASCII without `;`, at most 1024 bytes long";
    let is_path = |text: &str| {
        let is_short = text.len() <= MAX_ATTRIBUTE_BYTES;
        text.is_empty() || text.starts_with('/') && is_short && header::is_path(text)
    };
    text(value, is_path).then_some(("cookie.path", rule))
}

fn priority(value: &JsValue) -> Option<Flaw> {
    let values = ["", "low", "medium", "high"];
    let is_known = |text: &str| values.iter().any(|known| text.eq_ignore_ascii_case(known));
    text(value, is_known).then_some(("cookie.priority", "must be low, medium or high"))
}

fn same_site(value: &JsValue, is_secure: bool) -> Option<Flaw> {
    let values = ["", "lax", "strict", "none"];
    let is_known = |text: &str| values.iter().any(|known| text.eq_ignore_ascii_case(known));
    if *value != JsValue::Bool(true) && text(value, is_known) {
        return Some(("cookie.sameSite", "must be true, false, lax, strict, none or auto"));
    }
    let is_none = matches!(value, JsValue::Text(text) if text.eq_ignore_ascii_case("none"));
    (is_none && !is_secure).then_some(("cookie.sameSite", "must not be none without secure"))
}

/// Returns whether a value holds something other than a text of this form. A falsy value is
/// accepted, because it is not sent.
fn text(value: &JsValue, rule: impl Fn(&str) -> bool) -> bool {
    match value {
        JsValue::Text(text) => !rule(text),
        value => value.is_truthy(),
    }
}

/// Returns the rule that the prefix of the name requires and the cookie breaks. Browsers compare
/// prefixes case-insensitively, because servers may do so.
fn prefix(name: &str, cookie: &Cookie) -> Option<Flaw> {
    let name = name.to_ascii_lowercase();
    let begins = |prefix: &str| name.starts_with(prefix);
    let (host, http) = (begins("__host-"), begins("__http-") || begins("__host-http-"));
    if (host || http || begins("__secure-")) && !is_secure(cookie) {
        return Some((
            "cookie.secure",
            "must be true: the cookie's name begins with a prefix that requires it",
        ));
    }
    if host && cookie.domain.is_truthy() {
        return Some(("cookie.domain", "must not be set: the cookie's name begins with __Host-"));
    }
    if host && cookie.path != JsValue::Text("/".to_owned()) {
        return Some(("cookie.path", "must be /: the cookie's name begins with __Host-"));
    }
    let is_bare = http && !cookie.http_only.is_truthy();
    is_bare.then_some((
        "cookie.httpOnly",
        "must be true: the cookie's name begins with a prefix that requires it",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(name: &str, options: &str) -> Option<&'static str> {
        let options = crate::CookieOptions::from_json(options).unwrap();
        let cookie = options.make(true, 0.0).unwrap();
        let flaw = cookie_flaw(name, &cookie);
        flaw.or_else(|| lifetime_flaw("lifetime", &cookie)).map(|(option, _)| option)
    }

    #[test]
    fn each_rule_names_its_option() {
        for (name, options, expected) in [
            ("sid", "{}", None),
            ("sid", r#"{"sameSite":"none"}"#, Some("cookie.sameSite")),
            ("sid", r#"{"sameSite":"None","secure":true}"#, None),
            ("sid", r#"{"sameSite":"none","secure":"auto"}"#, None),
            ("sid", r#"{"sameSite":"auto","secure":"auto"}"#, None),
            ("sid", r#"{"sameSite":"auto"}"#, Some("cookie.sameSite")),
            ("sid", r#"{"sameSite":true}"#, None),
            ("sid", r#"{"sameSite":false}"#, None),
            ("sid", r#"{"sameSite":""}"#, None),
            ("sid", r#"{"sameSite":"lazy"}"#, Some("cookie.sameSite")),
            ("sid", r#"{"sameSite":1}"#, Some("cookie.sameSite")),
            ("sid", r#"{"priority":"HIGH"}"#, None),
            ("sid", r#"{"priority":"urgent"}"#, Some("cookie.priority")),
            ("sid", r#"{"priority":true}"#, Some("cookie.priority")),
            ("sid", r#"{"partitioned":true}"#, Some("cookie.partitioned")),
            ("sid", r#"{"partitioned":true,"secure":true}"#, None),
            ("sid", r#"{"path":"app"}"#, Some("cookie.path")),
            ("sid", r#"{"path":"/a;b"}"#, Some("cookie.path")),
            ("sid", r#"{"path":"/a\n"}"#, Some("cookie.path")),
            ("sid", r#"{"path":"/é"}"#, Some("cookie.path")),
            ("sid", r#"{"path":7}"#, Some("cookie.path")),
            ("sid", r#"{"path":""}"#, None),
            ("sid", r#"{"path":null}"#, None),
            ("sid", r#"{"path":"/app"}"#, None),
            ("sid", r#"{"domain":".example.com"}"#, None),
            ("sid", r#"{"domain":""}"#, None),
            ("sid", r#"{"domain":"127.0.0.1"}"#, None),
            ("sid", r#"{"domain":"."}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":"a..b"}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":"example.com:80"}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":"http://example.com"}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":"münchen.de"}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":"a;b"}"#, Some("cookie.domain")),
            ("sid", r#"{"domain":true}"#, Some("cookie.domain")),
            ("sid", r#"{"maxAge":34560000000}"#, None),
            ("sid", r#"{"maxAge":34560000001}"#, Some("lifetime")),
            ("sid", r#"{"maxAge":-1}"#, Some("lifetime")),
            ("sid", r#"{"maxAge":null}"#, None),
            ("sid", r#"{"expires":"yesterday"}"#, Some("lifetime")),
            ("sid", r#"{"expires":"1969-01-01T00:00:00Z"}"#, Some("lifetime")),
            ("sid", r#"{"expires":"1970-01-02T00:00:00Z"}"#, None),
            ("sid", r#"{"expires":false}"#, None),
            ("__Host-sid", "{}", Some("cookie.secure")),
            ("__Host-sid", r#"{"secure":true}"#, None),
            ("__host-sid", r#"{"secure":true,"domain":"example.com"}"#, Some("cookie.domain")),
            ("__HOST-sid", r#"{"secure":true,"path":"/app"}"#, Some("cookie.path")),
            ("__Host-sid", r#"{"secure":true,"path":null}"#, Some("cookie.path")),
            ("__Secure-sid", "{}", Some("cookie.secure")),
            ("__secure-sid", r#"{"secure":true,"domain":"example.com","path":"/a"}"#, None),
            ("__Http-sid", r#"{"secure":true,"httpOnly":false}"#, Some("cookie.httpOnly")),
            ("__Http-sid", r#"{"secure":true,"path":"/a"}"#, None),
            ("__Host-Http-sid", r#"{"secure":true,"httpOnly":false}"#, Some("cookie.httpOnly")),
            ("__Host-Http-sid", r#"{"secure":true,"domain":"a.b"}"#, Some("cookie.domain")),
            ("__Host-Http-sid", r#"{"secure":true}"#, None),
        ] {
            assert_eq!(flaw(name, options), expected, "{name} {options}");
        }
        let path = |bytes: usize| format!(r#"{{"path":"/{}"}}"#, "a".repeat(bytes - 1));
        assert_eq!(flaw("sid", &path(1024)), None);
        assert_eq!(flaw("sid", &path(1025)), Some("cookie.path"));
        for (name, value_bytes, fits) in
            [("sid", 100, true), ("a b", 1, false), ("", 1, false), ("sid", 4094, false)]
        {
            assert_eq!(name_flaw(name, value_bytes).is_none(), fits, "{name:?}");
        }
    }
}
