//! Reads `Cookie` headers and writes `Set-Cookie` headers, as npm's cookie 0.7 does.

use std::borrow::Cow;

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::cookie::{Cookie, JsValue};
use crate::error::{Error, ErrorKind};
use crate::timestamp;

/// All bytes except those that JavaScript's `encodeURIComponent` does not encode.
const URI_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Returns the text of a header as Node decodes it: each byte beyond ASCII is one Latin-1
/// character.
pub(crate) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// Returns the values of the cookies with this name, as and in the order in which they were sent.
pub(crate) fn cookie_values<'a>(header: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    header
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .filter(move |(key, _)| key.trim_matches(BLANK) == name)
        .map(|(_, value)| value)
}

/// Decodes a cookie's value as it was sent.
pub(crate) fn value_of(text: &str) -> Cow<'_, str> {
    decode(unquote(text.trim_matches(BLANK)))
}

/// Encodes a cookie's value.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, URI_COMPONENT).to_string()
}

const BLANK: [char; 2] = [' ', '\t'];

fn unquote(value: &str) -> &str {
    match value.strip_prefix('"') {
        Some("") => "",
        Some(rest) => rest.strip_suffix('"').unwrap_or(value),
        None => value,
    }
}

/// Decodes as `decodeURIComponent` does. If that would throw, the value is returned unchanged.
fn decode(value: &str) -> Cow<'_, str> {
    let is_escape =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !value.split('%').skip(1).all(is_escape) {
        return Cow::Borrowed(value);
    }
    percent_decode_str(value).decode_utf8().unwrap_or(Cow::Borrowed(value))
}

/// Returns the line that sets a cookie. The attributes are in the order of npm's cookie.
///
/// # Errors
///
/// [`ErrorKind::Cookie`] if `cookie.serialize` would throw: no browser would accept the line.
pub(crate) fn set_cookie(name: &str, value: &str, cookie: &Cookie) -> Result<HeaderValue, Error> {
    if !is_token(name) {
        return Err(ErrorKind::Cookie.into());
    }
    let mut line = format!("{name}={}", encode(value));
    if let Some(domain) = truthy_text(&cookie.domain)? {
        line += "; Domain=";
        line += valid(domain, is_domain)?;
    }
    if let Some(path) = truthy_text(&cookie.path)? {
        line += "; Path=";
        line += valid(path, is_path)?;
    }
    if cookie.expires.is_truthy() {
        let JsValue::Date(ms) = cookie.expires else { return Err(ErrorKind::Cookie.into()) };
        line += "; Expires=";
        line += &timestamp::to_utc(ms).ok_or(ErrorKind::Cookie)?;
    }
    for (value, text) in [
        (&cookie.http_only, "; HttpOnly"),
        (&cookie.secure, "; Secure"),
        (&cookie.partitioned, "; Partitioned"),
    ] {
        if value.is_truthy() {
            line += text;
        }
    }
    if let Some(priority) = truthy_text(&cookie.priority)? {
        line += match priority.to_ascii_lowercase().as_str() {
            "low" => "; Priority=Low",
            "medium" => "; Priority=Medium",
            "high" => "; Priority=High",
            _ => return Err(ErrorKind::Cookie.into()),
        };
    }
    line += same_site(&cookie.same_site)?;
    HeaderValue::try_from(line).map_err(|cause| Error::new(ErrorKind::Cookie, cause))
}

fn same_site(value: &JsValue) -> Result<&'static str, Error> {
    if *value == JsValue::Bool(true) {
        return Ok("; SameSite=Strict");
    }
    let Some(text) = truthy_text(value)? else { return Ok("") };
    match text.to_ascii_lowercase().as_str() {
        "lax" => Ok("; SameSite=Lax"),
        "strict" => Ok("; SameSite=Strict"),
        "none" => Ok("; SameSite=None"),
        _ => Err(ErrorKind::Cookie.into()),
    }
}

fn truthy_text(value: &JsValue) -> Result<Option<&str>, Error> {
    match value {
        JsValue::Text(text) if !text.is_empty() => Ok(Some(text)),
        value if value.is_truthy() => Err(ErrorKind::Cookie.into()),
        _ => Ok(None),
    }
}

fn valid(text: &str, rule: fn(&str) -> bool) -> Result<&str, Error> {
    if rule(text) { Ok(text) } else { Err(ErrorKind::Cookie.into()) }
}

/// Returns whether the text is a valid cookie name: a token of RFC 7230.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Returns whether the text is a domain: labels of letters, digits and inner hyphens, optionally
/// after a dot.
pub(crate) fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.strip_prefix('.').unwrap_or(domain).split('.').all(label)
}

/// Returns whether the text is a path: any printable ASCII except `;` and, as in npm's cookie, `<`.
pub(crate) fn is_path(path: &str) -> bool {
    path.bytes().all(|b| matches!(b, b' '..=b':' | b'='..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(header: &str) -> Vec<String> {
        cookie_values(header, "sid").map(|value| value_of(value).into_owned()).collect()
    }

    #[test]
    fn cookie_headers_are_parsed_as_by_npm_cookie() {
        for (header, expected) in [
            ("sid=a", &["a"][..]),
            (" \tsid \t= \ta\t ; x=y", &["a"]),
            ("sid=\"a b\"", &["a b"]),
            ("sid=\"", &[""]),
            ("sid=\"a", &["\"a"]),
            ("sid=a=b==", &["a=b=="]),
            ("$Version=1; nonsense; sid=a", &["a"]),
            ("sid; sid=a", &["a"]),
            ("x=1, sid=a", &[]),
            ("Sid=a; SID=b", &[]),
            ("sid=s%3Aa%2eb", &["s:a.b"]),
            ("sid=%C3%A9", &["é"]),
            ("sid=a%zz%41", &["a%zz%41"]),
            ("sid=%", &["%"]),
            ("sid=%41%4", &["%41%4"]),
            ("sid=%ff", &["%ff"]),
            ("sid=a+b", &["a+b"]),
            ("sid=%2573", &["%73"]),
            ("sid=; sid=b; sid=c", &["", "b", "c"]),
            ("", &[]),
            (";;;=;", &[]),
        ] {
            assert_eq!(values(header), expected, "{header}");
        }
    }

    #[test]
    fn bytes_beyond_ascii_are_read_as_latin_1() {
        assert_eq!(latin1(b"a=\xe9"), "a=é");
        assert_eq!(latin1("é".as_bytes()), "Ã©");
    }

    fn cookie(options: &[(&str, JsValue)]) -> Cookie {
        Cookie::new(options.iter().map(|(name, value)| (*name, value)), 0.0).unwrap()
    }

    fn text(text: &str) -> JsValue {
        JsValue::Text(text.to_owned())
    }

    #[test]
    fn attributes_are_written_in_the_order_of_npm_cookie() {
        let all = cookie(&[
            ("sameSite", text("LAX")),
            ("priority", text("High")),
            ("partitioned", JsValue::Bool(true)),
            ("secure", JsValue::Bool(true)),
            ("maxAge", JsValue::Number(1500.0)),
            ("path", text("/a")),
            ("domain", text(".Example.com")),
        ]);
        assert_eq!(
            set_cookie("sid", "s:a/b+c!~*'()", &all).unwrap(),
            "sid=s%3Aa%2Fb%2Bc!~*'(); Domain=.Example.com; Path=/a; \
             Expires=Thu, 01 Jan 1970 00:00:01 GMT; HttpOnly; Secure; Partitioned; Priority=High; SameSite=Lax"
        );
        assert_eq!(set_cookie("sid", "v", &cookie(&[])).unwrap(), "sid=v; Path=/; HttpOnly");
        let bare = cookie(&[
            ("path", text("")),
            ("httpOnly", JsValue::Bool(false)),
            ("sameSite", JsValue::Bool(true)),
        ]);
        assert_eq!(set_cookie("sid", "v", &bare).unwrap(), "sid=v; SameSite=Strict");
    }

    #[test]
    fn values_that_would_inject_an_attribute_are_rejected() {
        for (name, value) in [
            ("domain", "a;b"),
            ("domain", "-a"),
            ("domain", "a..b"),
            ("path", "/;x"),
            ("path", "/\r\n"),
            ("path", "/é"),
            ("sameSite", "auto"),
            ("priority", "urgent"),
            ("expires", "tomorrow"),
        ] {
            assert!(
                set_cookie("sid", "v", &cookie(&[(name, text(value))])).is_err(),
                "{name}={value}"
            );
        }
        for name in ["", "a b", "a;", "a=", "é", "a\n"] {
            assert!(set_cookie(name, "v", &cookie(&[])).is_err(), "{name}");
        }
    }
}
