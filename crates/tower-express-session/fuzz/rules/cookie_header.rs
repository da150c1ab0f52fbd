//! Compares the parsing of `Cookie` headers with a reimplementation of npm's cookie 0.7, and checks
//! `Set-Cookie` lines.
//!
//! Input: the cookie's name, the header, and the stored cookie's JSON, on one line each. The header
//! is also used as the value to send.

use tower_express_session::internals::{cookie_values, set_cookie};

pub(super) fn check_input(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let name = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let header = lines.next().unwrap_or_default();
    let cookie = String::from_utf8_lossy(lines.next().unwrap_or_default());

    // Express replaces an empty name by `connect.sid`.
    let read = cookie_values(header, &name);
    if !name.is_empty() && name.is_ascii() {
        assert_eq!(read.first(), npm_cookie(header, &name).as_ref());
    }
    let value = String::from_utf8_lossy(header);
    if let Some(line) = set_cookie(&name, &value, &cookie) {
        check_line(&line, &name, &value);
    }
}

/// Returns `parse(header)[name]` of npm's cookie. The header is Latin-1.
fn npm_cookie(header: &[u8], name: &str) -> Option<String> {
    let find = |wanted: u8, from: usize| {
        (from..header.len()).find(|at| header[*at] == wanted).unwrap_or(header.len())
    };
    let mut index = 0;
    while index < header.len() {
        let (equals, end) = (find(b'=', index), find(b';', index));
        if equals < end && trimmed(&header[index..equals]) == name.as_bytes() {
            let value = match trimmed(&header[equals + 1..end]) {
                [b'"', inner @ .., b'"'] => inner,
                b"\"" => b"",
                value => value,
            };
            return Some(decode_uri_component(value).unwrap_or_else(|| latin1(value)));
        }
        index = end + 1;
    }
    None
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn latin1(text: &[u8]) -> String {
    text.iter().copied().map(char::from).collect()
}

/// Implements `Decode` of ECMA-262, escape by escape; `None` if it would throw.
fn decode_uri_component(text: &[u8]) -> Option<String> {
    let escape = |at: usize| match text.get(at..at + 3)? {
        [b'%', high, low] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            Some((digit(*high)? * 16 + digit(*low)?) as u8)
        }
        _ => None,
    };
    let (mut out, mut at) = (String::new(), 0);
    while at < text.len() {
        if text[at] != b'%' {
            out.push(text[at].into());
            at += 1;
            continue;
        }
        let length = match escape(at)? {
            0x00..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            _ => return None,
        };
        let character: Vec<u8> = (0..length).map(|n| escape(at + 3 * n)).collect::<Option<_>>()?;
        out += std::str::from_utf8(&character).ok()?;
        at += 3 * length;
    }
    Some(out)
}

/// Checks that a browser would send the value back, and that the attributes are in order.
fn check_line(line: &[u8], name: &str, value: &str) {
    assert!(line.iter().all(|byte| matches!(byte, b' '..=b'~')), "not printable");
    let text = std::str::from_utf8(line).unwrap();
    let mut parts = text.split("; ");
    assert_eq!(cookie_values(parts.next().unwrap().as_bytes(), name), [value]);
    let mut order =
        ["Domain", "Path", "Expires", "HttpOnly", "Secure", "Partitioned", "Priority", "SameSite"]
            .iter();
    for part in parts {
        let attribute = part.split('=').next().unwrap();
        assert!(order.any(|known| *known == attribute), "{attribute} is out of place in {text}");
        assert!(!part.contains(';'), "{text}");
    }
}
