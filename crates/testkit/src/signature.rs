//! The signed cookie values of express-session, made independently of the crate under test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns the signature of an id, which follows the last dot: the HMAC-SHA256 in base64 without
/// padding.
pub fn signature(id: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("a key for an HMAC may have any length");
    mac.update(id.as_bytes());
    STANDARD_NO_PAD.encode(mac.finalize().into_bytes())
}

/// Returns `s:ID.SIGNATURE`.
pub fn sign(id: &str, secret: &str) -> String {
    format!("s:{id}.{}", signature(id, secret))
}

/// Returns the id in a signed value, if it was signed with this secret.
pub fn unsign<'a>(value: &'a str, secret: &str) -> Option<&'a str> {
    let (id, found) = value.strip_prefix("s:")?.rsplit_once('.')?;
    (found == signature(id, secret)).then_some(id)
}

/// Encodes a text like JavaScript's `encodeURIComponent`.
pub fn encode(text: &str) -> String {
    text.bytes().map(encode_byte).collect()
}

fn encode_byte(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Decodes the percent escapes of a text. Returns `None` if one is malformed.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_cookie_signature_does() {
        let signed = sign("0123456789abcdef", "keyboard cat");
        assert_eq!(signed, "s:0123456789abcdef.3S3RsaFMKoAtkT5+E8LbKyZoXgRG2L6eXhvB3Ran2Ts");
        assert_eq!(unsign(&signed, "keyboard cat"), Some("0123456789abcdef"));
        assert_eq!(unsign(&signed, "another"), None);
    }

    #[test]
    fn encodes_as_encode_uri_component_does() {
        assert_eq!(encode("s:a.b/c+d!é"), "s%3Aa.b%2Fc%2Bd!%C3%A9");
        assert_eq!(decode("s%3aa.b%2Fc%2Bd!%C3%A9").as_deref(), Some("s:a.b/c+d!é"));
        assert_eq!(decode("%zz"), None);
    }
}
