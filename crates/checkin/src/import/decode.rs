//! Decodes the bytes of a file as text.

use std::borrow::Cow;

/// The first bytes of files that are not text, and what to do with such a file.
const OTHER_FILES: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "it is a gzip file, unpack it first"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet, unpack it or save it as CSV"),
    (b"BZh", "it is a bzip2 file, unpack it first"),
    (b"\xfd7zXZ", "it is an xz file, unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is a zstd file, unpack it first"),
    (b"\xd0\xcf\x11\xe0", "it is a spreadsheet, save it as CSV"),
];

/// Reads a unit of UTF-16.
type ReadUnit = fn([u8; 2]) -> u16;

/// The byte order marks of UTF-16, with which spreadsheets and shells of Windows write it, and how to read its units.
const UTF_16: [(&[u8], ReadUnit); 2] =
    [(b"\xff\xfe", u16::from_le_bytes), (b"\xfe\xff", u16::from_be_bytes)];

/// Returns the text of a file in UTF-8, or in UTF-16 with a byte order mark, or the first line that is not text (from 1)
/// and the rule.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, (u64, String)> {
    if let Some((_, what)) = OTHER_FILES.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err((1, format!("must be a text in UTF-8; {what}")));
    }
    let utf_16 = UTF_16.iter().find_map(|(mark, unit)| Some((bytes.strip_prefix(*mark)?, unit)));
    let text = match utf_16 {
        Some((bytes, unit)) => Cow::Owned(decode_utf_16(bytes, unit)?),
        None => Cow::Borrowed(decode_utf_8(bytes)?),
    };
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err((1, "must not be empty".to_owned()));
    }
    Ok(text)
}

fn decode_utf_8(bytes: &[u8]) -> Result<&str, (u64, String)> {
    expect_no_nul(bytes, "UTF-16 without a byte order mark")?;
    std::str::from_utf8(bytes).map_err(|error| {
        let rule = "must be a text in UTF-8; save it as UTF-8 if it is Latin-1 or Windows-1252";
        (line_of(&bytes[..error.valid_up_to()]), rule.to_owned())
    })
}

fn decode_utf_16(bytes: &[u8], unit: &ReadUnit) -> Result<String, (u64, String)> {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let characters = char::decode_utf16(units.iter().map(|bytes| unit(*bytes)));
    // A unit that is cut off is as wrong as half of a character.
    let cut_off = rest.first().map(|_| None);
    for character in characters.map(Result::ok).chain(cut_off) {
        let rule = "must be a text; it has the mark of UTF-16, but is damaged";
        text.push(character.ok_or_else(|| (line_of(text.as_bytes()), rule.to_owned()))?);
    }
    expect_no_nul(text.as_bytes(), "UTF-32")?;
    Ok(text)
}

/// `encoding` has NUL bytes where the text has none.
fn expect_no_nul(text: &[u8], encoding: &str) -> Result<(), (u64, String)> {
    let Some(at) = text.iter().position(|byte| *byte == 0) else { return Ok(()) };
    let rule = format!("must not contain NUL characters; save it as UTF-8 if it is {encoding}");
    Err((line_of(&text[..at]), rule))
}

/// Returns the line that begins or goes on after these bytes, from 1.
fn line_of(before: &[u8]) -> u64 {
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The starts of texts of other kinds, and what they are.
const OTHER_TEXTS: [(&str, &str); 3] = [
    ("<", "XML, such as GPX or KML"),
    ("BEGIN:V", "a calendar or a contact"),
    ("{\\rtf", "a rich text"),
];

/// Returns the rule of a text that is of another kind than a file may be.
pub(super) fn other_text(text: &str) -> Option<String> {
    let text = text.trim_start();
    let (_, what) = OTHER_TEXTS.iter().find(|(start, _)| text.starts_with(start))?;
    Some(format!("must be JSON or a table of check-ins (CSV); it is {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_reported_with_their_line() {
        for (bytes, line, named) in [
            (&b""[..], 1, "empty"),
            (b" \r\n\n", 1, "empty"),
            (b"\xef\xbb\xbf", 1, "empty"),
            (b"\x1f\x8b\x08\0\0", 1, "gzip"),
            (b"PK\x03\x04\0\0", 1, "zip"),
            (b"\xff\xfe", 1, "empty"),
            (b"\xff\xfei\0\n\0d\0\xd8", 2, "UTF-16"),
            (b"\xff\xfei\0\n\0d\0\x3d\xd8i\0", 2, "UTF-16"),
            (b"\xfe\xff\0i\0\n\0\0", 2, "NUL"),
            (b"i\0d\0", 1, "NUL"),
            (b"id\n\n1\0\n", 3, "NUL"),
            (b"name\nCaf\xe9\n", 2, "Latin-1"),
            (b"\x89PNG\r\n\x1a\n", 1, "UTF-8"),
        ] {
            let (found, rule) = decode(bytes).unwrap_err();
            assert!(found == line && rule.contains(named), "{bytes:?}: {found} {rule}");
        }
        assert_eq!(decode("Café".as_bytes()).unwrap(), "Café");
    }

    #[test]
    fn utf_16_is_read_in_both_orders() {
        let text = "userId\tcomment\r\n77\tCafé 😀\r\n";
        for (mark, bytes) in
            [(b"\xff\xfe", u16::to_le_bytes as fn(u16) -> [u8; 2]), (b"\xfe\xff", u16::to_be_bytes)]
        {
            let file =
                [&mark[..], &text.encode_utf16().flat_map(bytes).collect::<Vec<_>>()].concat();
            assert_eq!(decode(&file).unwrap(), text);
        }
    }
}
