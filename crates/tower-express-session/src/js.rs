//! Reads and writes JSON as JavaScript does.
//!
//! `JSON.stringify(JSON.parse(text))` differs from what serde writes: numbers are doubles, keys
//! that look like array indices come first in ascending order, and a string may hold a lone
//! surrogate. Text is handled here as WTF-8: UTF-8 in which a lone surrogate is encoded in three
//! bytes, as if it were a character.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The maximum nesting of values that are normalised. Deeper values are kept as they were written,
/// because the stack is limited.
const MAX_DEPTH: usize = 512;

/// A JSON text as JavaScript would write it after reading it, and whether it changed a number.
#[derive(Debug, PartialEq)]
pub(crate) struct Normalised<'a> {
    pub(crate) json: Cow<'a, str>,
    /// Whether an integer had more digits than a double holds.
    pub(crate) lost_digits: bool,
}

/// Returns `JSON.stringify(JSON.parse(json))`; `json` must be valid JSON without white space around it.
pub(crate) fn normalise(json: &str) -> Normalised<'_> {
    let plain_text = json.starts_with('"') && !json.contains('\\');
    if plain_text || matches!(json, "null" | "true" | "false") {
        return Normalised { json: Cow::Borrowed(json), lost_digits: false };
    }
    let mut writer = Writer { out: Vec::with_capacity(json.len()), lost_digits: false };
    Reader { bytes: json.as_bytes(), at: 0 }.copy_value(&mut writer, 0);
    let json =
        String::from_utf8(writer.out).expect("lone surrogates are escaped, the rest was UTF-8");
    Normalised { json: Cow::Owned(json), lost_digits: writer.lost_digits }
}

/// Appends text, given as WTF-8, the way `JSON.stringify` writes a string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0x08 => out.extend(b"\\b"),
            0x09 => out.extend(b"\\t"),
            0x0a => out.extend(b"\\n"),
            0x0c => out.extend(b"\\f"),
            0x0d => out.extend(b"\\r"),
            0x00..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            0xed if text[at + 1] >= 0xa0 => {
                let unit =
                    0xd000 | u16::from(text[at + 1] & 0x3f) << 6 | u16::from(text[at + 2] & 0x3f);
                out.extend(format!("\\u{unit:04x}").bytes());
                at += 2;
            }
            _ => out.push(byte),
        }
        at += 1;
    }
    out.push(b'"');
}

/// Appends a number as JavaScript writes it in JSON: infinities and NaN are `null`.
pub(crate) fn write_number(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend(ryu_js::Buffer::new().format_finite(number).bytes());
    } else {
        out.extend(b"null");
    }
}

/// Returns the array index that a key represents, if any. JavaScript lists such keys before all
/// others.
pub(crate) fn array_index(key: &[u8]) -> Option<u32> {
    let canonical = key == b"0" || matches!(key.first(), Some(b'1'..=b'9'));
    let digits = std::str::from_utf8(key)
        .ok()
        .filter(|_| canonical && key.iter().all(u8::is_ascii_digit))?;
    digits.parse().ok().filter(|index| *index < u32::MAX)
}

/// Inserts a member where a JavaScript object would list it; replaces a member of the same name in
/// place.
pub(crate) fn insert_in_order<V>(members: &mut IndexMap<Vec<u8>, V>, key: Vec<u8>, value: V) {
    if let Some(existing) = members.get_mut(&key) {
        *existing = value;
        return;
    }
    match array_index(&key) {
        None => drop(members.insert(key, value)),
        Some(index) => {
            let comes_first =
                |other: &Vec<u8>, _: &V| array_index(other).is_some_and(|other| other < index);
            let place = members.partition_point(comes_first);
            members.shift_insert(place, key, value);
        }
    }
}

/// Sorts members into the order of a JavaScript object.
pub(crate) fn sort_members<V>(members: &mut IndexMap<Vec<u8>, V>) {
    if members.keys().any(|key| array_index(key).is_some()) {
        // The sort is stable, and no array index is as high as the default here.
        members.sort_by_cached_key(|key, _| array_index(key).unwrap_or(u32::MAX));
    }
}

/// Returns the members of a JSON object in the order of a JavaScript object: names as WTF-8, values
/// as `value` makes them of what was written.
pub(crate) fn read_members<V>(
    json: &str,
    value: impl Fn(&str) -> V,
) -> serde_json::Result<IndexMap<Vec<u8>, V>> {
    let mut members = IndexMap::new();
    each_member(json, |name, raw| drop(members.insert(name.into_owned(), value(raw))))?;
    sort_members(&mut members);
    Ok(members)
}

/// Calls `each` for the members of a JSON object as they are written: with the name as WTF-8 and the
/// raw value.
pub(crate) fn each_member<'a>(
    json: &'a str,
    each: impl FnMut(Cow<'a, [u8]>, &'a str),
) -> serde_json::Result<()> {
    struct Members<F>(F);
    impl<'de, F: FnMut(Cow<'de, [u8]>, &'de str)> Visitor<'de> for Members<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
            while let Some(name) = access.next_key_seed(Text)? {
                (self.0)(name, access.next_value::<&RawValue>()?.get());
            }
            Ok(())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer.deserialize_map(Members(each))?;
    deserializer.end()
}

/// Deserializes a JSON string as bytes, because serde_json then returns lone surrogates as WTF-8.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, [u8]>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, [u8]>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

/// Returns the characters of a JSON string as WTF-8. `json` includes the quotes.
pub(crate) fn read_text(json: &str) -> Vec<u8> {
    let inner = &json[1..json.len() - 1];
    if !inner.contains('\\') {
        return inner.as_bytes().to_vec();
    }
    Text.deserialize(&mut serde_json::Deserializer::from_str(json))
        .expect("the caller's text is a valid JSON string")
        .into_owned()
}

/// Returns the number that `JSON.parse` reads, except that `-0` is `0`, as in `JSON.stringify`.
pub(crate) fn read_number(json: &str) -> f64 {
    json.parse::<f64>().expect("a JSON number is also a number in Rust") + 0.0
}

struct Writer {
    out: Vec<u8>,
    lost_digits: bool,
}

/// Reads text that is known to be valid JSON, so it needs no error handling.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn copy_value(&mut self, writer: &mut Writer, depth: usize) {
        self.skip_space();
        match self.bytes[self.at] {
            b'{' | b'[' if depth == MAX_DEPTH => {
                let raw = self.take_nested();
                writer.out.extend(raw.bytes());
            }
            b'{' => self.copy_object(writer, depth),
            b'[' => self.copy_array(writer, depth),
            b'"' => write_text(&mut writer.out, &read_text(self.take_text())),
            b't' | b'f' | b'n' => {
                let word = self.take_while(|byte| byte.is_ascii_lowercase());
                writer.out.extend(word.bytes());
            }
            _ => {
                let text = self.take_while(|byte| {
                    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                });
                copy_number(writer, text);
            }
        }
    }

    fn copy_array(&mut self, writer: &mut Writer, depth: usize) {
        writer.out.push(b'[');
        let mut first = true;
        while self.next_item(b']') {
            if !std::mem::take(&mut first) {
                writer.out.push(b',');
            }
            self.copy_value(writer, depth + 1);
        }
        writer.out.push(b']');
    }

    fn copy_object(&mut self, writer: &mut Writer, depth: usize) {
        let mut members = IndexMap::new();
        while self.next_item(b'}') {
            let key = read_text(self.take_text());
            self.skip_space();
            self.at += 1; // the colon
            let mut value = Writer { out: Vec::new(), lost_digits: false };
            self.copy_value(&mut value, depth + 1);
            writer.lost_digits |= value.lost_digits;
            // If a name occurs several times, the last value counts, at the position of the first.
            members.insert(key, value.out);
        }
        sort_members(&mut members);
        writer.out.push(b'{');
        for (place, (key, value)) in members.iter().enumerate() {
            if place > 0 {
                writer.out.push(b',');
            }
            write_text(&mut writer.out, key);
            writer.out.push(b':');
            writer.out.extend(value);
        }
        writer.out.push(b'}');
    }

    /// Skips the bracket or comma before an item and returns `true`; at the end, skips `close` and
    /// returns `false`.
    fn next_item(&mut self, close: u8) -> bool {
        self.skip_space();
        if self.bytes[self.at] == close {
            self.at += 1;
            return false;
        }
        if matches!(self.bytes[self.at], b'[' | b'{' | b',') {
            self.at += 1;
            self.skip_space();
            if self.bytes[self.at] == close {
                self.at += 1;
                return false;
            }
        }
        true
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let length = self.bytes[self.at..].iter().take_while(|byte| wanted(**byte)).count();
        self.take(length)
    }

    fn take_text(&mut self) -> &'a str {
        let mut length = 1;
        while self.bytes[self.at + length] != b'"' {
            length += if self.bytes[self.at + length] == b'\\' { 2 } else { 1 };
        }
        self.take(length + 1)
    }

    /// Returns the whole text of the object or array that starts here.
    fn take_nested(&mut self) -> &'a str {
        let start = self.at;
        let mut open = 0;
        loop {
            match self.bytes[self.at] {
                b'"' => {
                    self.take_text();
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                let length = self.at - start;
                self.at = start;
                return self.take(length);
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        std::str::from_utf8(taken).expect("the text is cut at ASCII characters of valid UTF-8")
    }
}

fn copy_number(writer: &mut Writer, text: &str) {
    let start = writer.out.len();
    write_number(&mut writer.out, read_number(text));
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    writer.lost_digits |= is_integer && text != "-0" && &writer.out[start..] != text.as_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        assert_eq!(normalise(json).json, expected, "{json}");
    }

    #[test]
    fn numbers_are_written_as_doubles() {
        for (json, expected) in [
            ("1.0", "1"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("123456789012345680000", "123456789012345680000"),
            ("18446744073709551615", "18446744073709552000"),
            ("1e400", "null"),
            ("-1e400", "null"),
            ("5e-324", "5e-324"),
            ("100", "100"),
            ("1E2", "100"),
        ] {
            check(json, expected);
        }
    }

    #[test]
    fn integers_that_a_double_cannot_hold_are_reported() {
        assert!(normalise("[9007199254740993]").lost_digits);
        assert!(!normalise("[9007199254740991,-0,1.10,1e2]").lost_digits);
    }

    #[test]
    fn keys_like_array_indices_come_first_in_numeric_order() {
        check(r#"{"b":1,"10":2,"2":3,"01":4,"a":5}"#, r#"{"2":3,"10":2,"b":1,"01":4,"a":5}"#);
        check(r#"{"4294967295":1,"4294967294":2}"#, r#"{"4294967294":2,"4294967295":1}"#);
        check(r#"[{"x":{"1":1,"0":0}}]"#, r#"[{"x":{"0":0,"1":1}}]"#);
    }

    #[test]
    fn the_last_of_two_equal_names_counts_at_the_position_of_the_first() {
        check(r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#);
        check(r#"{"a":1,"\u0061":2}"#, r#"{"a":2}"#);
    }

    #[test]
    fn strings_are_escaped_as_in_javascript() {
        check(r#""\/""#, r#""/""#);
        check(r#""\u00e9\u2028\u007f""#, "\"é\u{2028}\u{7f}\"");
        check(r#""\u0008\u000b\u001f\n""#, r#""\b\u000b\u001f\n""#);
        check(r#""\uD83D\uDE00""#, "\"😀\"");
        check(r#""\uD800x\udfff""#, r#""\ud800x\udfff""#);
        check(r#"{"\ud800":1}"#, r#"{"\ud800":1}"#);
    }

    #[test]
    fn white_space_is_removed() {
        check("[ 1 , [ ] , { } , { \"a\" : [ true , null ] } ]", r#"[1,[],{},{"a":[true,null]}]"#);
    }

    #[test]
    fn deeply_nested_values_are_kept_unchanged() {
        let deep = format!("{}1.0{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(normalise(&deep).json, deep);
    }
}
