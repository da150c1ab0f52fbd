//! The stored document of a session, exactly as express-session writes it.

use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::cookie::{Cookie, JsValue};
use crate::error::{Error, ErrorKind};
use crate::js;

const COOKIE: &[u8] = b"cookie";

/// Attribute names that Node drops when it loads a session, because a session object has them
/// already: own properties, methods of `Session.prototype`, and `Object.prototype`.
const RESERVED: [&str; 20] = [
    "id",
    "req",
    "touch",
    "resetMaxAge",
    "save",
    "reload",
    "destroy",
    "regenerate",
    "constructor",
    "toString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
];

/// The document of one session: its cookie and its attributes. A clone shares both until one of the
/// two changes.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) cookie: Arc<Cookie>,
    pub(crate) attributes: Arc<Attributes>,
}

/// The attributes of a session in the order in which they are written. Each value is the raw JSON
/// that was read, so a value that a Rust service does not change is written back byte for byte.
///
/// Names are kept as WTF-8, because in JavaScript they may contain lone surrogates. The member
/// `cookie` is in the list, with an empty value, because writers may put it at any position.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    members: IndexMap<Vec<u8>, Bytes>,
    /// Whether names that Node drops were left out, so that the stored document must be rewritten.
    dropped_reserved: bool,
}

/// Whether attributes are kept byte for byte, or written as Node would write them after reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Verbatim,
    AsNode,
}

impl Record {
    pub(crate) fn new(cookie: Cookie) -> Self {
        let members = IndexMap::from([(COOKIE.to_vec(), Bytes::new())]);
        let attributes = Attributes { members, dropped_reserved: false };
        Self { cookie: Arc::new(cookie), attributes: Arc::new(attributes) }
    }

    /// Parses a stored value. Returns `None` if express-session would see no session: for an empty
    /// value, or one of JavaScript's falsy values.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if an Express service would respond with 500.
    pub(crate) fn parse(
        stored: &Bytes,
        reading: Reading,
        now_ms: f64,
    ) -> Result<Option<Self>, Error> {
        Self::parse_with(stored, reading, |json| Cookie::from_json(json, now_ms).map(Arc::new))
    }

    /// Does the same and has the cookie read by `cookie`.
    pub(crate) fn parse_with(
        stored: &Bytes,
        reading: Reading,
        cookie: impl FnOnce(&str) -> Result<Arc<Cookie>, Error>,
    ) -> Result<Option<Self>, Error> {
        let text = match std::str::from_utf8(stored) {
            Ok(_) => stored.clone(),
            // A Node client replaces invalid UTF-8 before the value is parsed.
            Err(_) => Bytes::from(String::from_utf8_lossy(stored).into_owned()),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let corrupt = |cause| Error::new(ErrorKind::Corrupt, cause);
        let document = as_str(&text).trim_matches([' ', '\t', '\n', '\r']);
        if !document.starts_with('{') {
            let scalar: &RawValue = serde_json::from_str(document).map_err(corrupt)?;
            let is_session = JsValue::from_json(scalar.get()).is_truthy();
            return if is_session { Err(ErrorKind::Corrupt.into()) } else { Ok(None) };
        }
        let value = |raw: &str| match reading {
            Reading::AsNode => Bytes::from(js::normalise(raw).json.into_owned()),
            Reading::Verbatim => text.slice_ref(raw.as_bytes()),
        };
        let mut members = js::read_members(document, value).map_err(corrupt)?;
        let json = members.get_mut(COOKIE).map(std::mem::take).ok_or(ErrorKind::Corrupt)?;
        let cookie = cookie(as_str(&json))?;
        let before = members.len();
        members.retain(|name, _| !is_reserved(name));
        let dropped_reserved = members.len() < before;
        let attributes = Attributes { members, dropped_reserved };
        Ok(Some(Self { cookie, attributes: Arc::new(attributes) }))
    }

    /// Restarts the lifetime of the cookie.
    pub(crate) fn touch(&mut self, now_ms: f64) -> Result<(), Error> {
        Cookie::touch(&mut self.cookie, now_ms)
    }

    /// Returns the document to store.
    pub(crate) fn to_json(&self) -> Bytes {
        Bytes::from(self.attributes.to_json(|out| self.cookie.write_json(out)))
    }
}

impl Attributes {
    /// Returns the raw JSON of one attribute.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&str> {
        self.raw(name).map(as_str)
    }

    /// Sets an attribute to raw JSON, at the position where JavaScript would put it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ReservedName`] for `cookie` and for the names that Node drops on load.
    pub(crate) fn set(&mut self, name: &[u8], json: Bytes) -> Result<(), Error> {
        if !is_allowed(name) {
            return Err(ErrorKind::ReservedName.into());
        }
        js::insert_in_order(&mut self.members, name.to_vec(), json);
        Ok(())
    }

    /// Removes an attribute. Returns whether it existed.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        name != COOKIE && self.members.shift_remove(name).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.members.retain(|name, _| name == COOKIE);
    }

    /// Iterates over the names as WTF-8 and their raw JSON, without the cookie.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.members.iter().filter(|(name, _)| *name != COOKIE).map(|(name, raw)| (&name[..], raw))
    }

    pub(crate) fn raw(&self, name: &[u8]) -> Option<&Bytes> {
        self.members.get(name).filter(|raw| !raw.is_empty())
    }

    /// Returns whether express-session's `hash` would be the same: it covers all attributes and
    /// their order, without the cookie.
    pub(crate) fn same_as(&self, original: &Self) -> bool {
        std::ptr::eq(self, original) && !self.dropped_reserved
            || self.iter().eq(original.iter()) && !original.dropped_reserved
    }

    /// Returns all attributes as one JSON object, without the cookie.
    pub(crate) fn to_object(&self) -> String {
        let mut out = vec![b'{'];
        for (name, raw) in self.iter() {
            if out.len() > 1 {
                out.push(b',');
            }
            write_member(&mut out, name, |out| out.extend(&raw[..]));
        }
        out.push(b'}');
        String::from_utf8(out).expect("names and values are UTF-8 once escaped")
    }

    fn to_json(&self, write_cookie: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let length: usize = self.members.iter().map(|(name, raw)| name.len() + raw.len() + 4).sum();
        let mut out = Vec::with_capacity(length + 200);
        for (name, raw) in &self.members {
            out.push(if out.is_empty() { b'{' } else { b',' });
            write_member(&mut out, name, |out| match &name[..] {
                COOKIE => write_cookie(out),
                _ => out.extend(&raw[..]),
            });
        }
        out.push(b'}');
        out
    }
}

fn write_member(out: &mut Vec<u8>, name: &[u8], write_value: impl FnOnce(&mut Vec<u8>)) {
    js::write_text(out, name);
    out.push(b':');
    write_value(out);
}

/// Returns whether a session can have an attribute of this name.
pub(crate) fn is_allowed(name: &[u8]) -> bool {
    name != COOKIE && !is_reserved(name)
}

fn is_reserved(name: &[u8]) -> bool {
    RESERVED.iter().any(|reserved| reserved.as_bytes() == name)
}

fn as_str(raw: &Bytes) -> &str {
    std::str::from_utf8(raw).expect("raw JSON was read from UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, reading: Reading) -> Result<Option<Record>, Error> {
        Record::parse(&Bytes::from(json.to_owned()), reading, 0.0)
    }

    fn rewritten(json: &str, reading: Reading) -> Bytes {
        parse(json, reading).unwrap().unwrap().to_json()
    }

    const COOKIE_JSON: &str =
        r#""cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#;

    #[test]
    fn unchanged_attributes_are_written_back_byte_for_byte() {
        for attributes in [
            r#""user":"a@example.com""#,
            r#""n":1.0,"big":18446744073709551615,"e":1e400,"s":"\ud800\u0041","o":{"b":1,"1":[ 2 ]}"#,
            r#""\ud800":1,"é":2"#,
        ] {
            let json = format!("{{{COOKIE_JSON},{attributes}}}");
            assert_eq!(rewritten(&json, Reading::Verbatim), json);
            let last = format!("{{{attributes},{COOKIE_JSON}}}");
            assert_eq!(rewritten(&last, Reading::Verbatim), last);
        }
    }

    #[test]
    fn reading_as_node_writes_values_as_node_would() {
        let json = format!(r#"{{{COOKIE_JSON},"b":1.0,"1":{{"z":1,"0":-0}},"b":[ 1e400 ]}}"#);
        let expected = format!(r#"{{"1":{{"0":0,"z":1}},{COOKIE_JSON},"b":[null]}}"#);
        assert_eq!(rewritten(&json, Reading::AsNode), expected);
    }

    /// With a linear search for the position of each name this test would take minutes.
    #[test]
    fn many_names_like_array_indices_are_read_quickly() {
        let names: Vec<String> = (0..100_000).rev().map(|n| format!(r#""{n}":1"#)).collect();
        let json = format!(r#"{{{COOKIE_JSON},{},"o":{{{}}}}}"#, names.join(","), names.join(","));
        let written = rewritten(&json, Reading::AsNode);
        assert!(written.starts_with(br#"{"0":1,"1":1,"2":1,"#));
        assert!(written.ends_with(br#","99998":1,"99999":1}}"#));
    }

    #[test]
    fn values_nested_deeper_than_the_stack_are_kept() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let json = format!(r#"{{{COOKIE_JSON},"deep":{deep}}}"#);
        assert_eq!(rewritten(&json, Reading::Verbatim), json);
        assert_eq!(rewritten(&json, Reading::AsNode), json);
    }

    #[test]
    fn falsy_values_are_no_session_and_other_scalars_are_corrupt() {
        for none in ["", "null", "0", "-0.0", "false", "\"\"", " null "] {
            assert!(parse(none, Reading::Verbatim).unwrap().is_none(), "{none}");
        }
        for corrupt in [
            "1",
            "\"s\"",
            "[]",
            "{}",
            "true",
            "{\"cookie\":null}",
            "{\"cookie\":\"abc\"}",
            "x",
            "{\"cookie\":{}",
            "{\"cookie\":{}}x",
            "{\"cookie\":{\"maxAge\":\"1\"}}",
        ] {
            assert_eq!(
                parse(corrupt, Reading::Verbatim).unwrap_err().kind(),
                ErrorKind::Corrupt,
                "{corrupt}"
            );
        }
    }

    #[test]
    fn the_cookie_keeps_the_members_that_express_keeps() {
        let json = r#"{"cookie":{"expires":"2026-11-06T20:02:03.456Z","originalMaxAge":60000.5,"x":1,"path":"","secure":"auto","priority":"HIGH","sameSite":true},"a":1}"#;
        let expected = r#"{"cookie":{"originalMaxAge":60000.5,"priority":"HIGH","expires":"2026-11-06T20:02:03.456Z","secure":"auto","httpOnly":true,"path":"","sameSite":true},"a":1}"#;
        assert_eq!(rewritten(json, Reading::AsNode), expected);
        assert_eq!(
            rewritten(r#"{"cookie":{}}"#, Reading::AsNode),
            r#"{"cookie":{"expires":null,"httpOnly":true,"path":"/"}}"#
        );
        let garbage = r#"{"cookie":{"expires":"garbage","originalMaxAge":5}}"#;
        assert_eq!(
            rewritten(garbage, Reading::AsNode),
            r#"{"cookie":{"originalMaxAge":5,"expires":null,"httpOnly":true,"path":"/"}}"#
        );
    }

    #[test]
    fn reserved_names_are_dropped_on_load_and_count_as_a_change() {
        let json = format!(r#"{{{COOKIE_JSON},"id":1,"a":2,"__proto__":{{}},"toString":3}}"#);
        let record = parse(&json, Reading::Verbatim).unwrap().unwrap();
        assert_eq!(record.to_json(), format!(r#"{{{COOKIE_JSON},"a":2}}"#));
        assert!(!record.attributes.same_as(&record.attributes));
    }

    #[test]
    fn a_new_attribute_is_inserted_where_javascript_would_put_it() {
        let mut record = parse(&format!(r#"{{"2":0,{COOKIE_JSON},"a":1}}"#), Reading::Verbatim)
            .unwrap()
            .unwrap();
        let attributes = Arc::make_mut(&mut record.attributes);
        attributes.set(b"b", Bytes::from_static(b"1")).unwrap();
        attributes.set(b"1", Bytes::from_static(b"1")).unwrap();
        attributes.set(b"a", Bytes::from_static(b"5")).unwrap();
        assert_eq!(record.to_json(), format!(r#"{{"1":1,"2":0,{COOKIE_JSON},"a":5,"b":1}}"#));
        assert_eq!(record.attributes.to_object(), r#"{"1":1,"2":0,"a":5,"b":1}"#);
    }

    #[test]
    fn reserved_names_cannot_be_set() {
        let mut record = Record::new(Cookie::new([], 0.0).unwrap());
        let attributes = Arc::make_mut(&mut record.attributes);
        for name in RESERVED.into_iter().chain(["cookie"]) {
            let error = attributes.set(name.as_bytes(), Bytes::from_static(b"1")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ReservedName, "{name}");
        }
    }
}
