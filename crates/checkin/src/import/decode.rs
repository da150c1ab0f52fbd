//! Decodes the bytes of a file as text.

/// The first bytes of files that are not text, and what to do with such a file.
const OTHER_FILES: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "it is a gzip file, unpack it first"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet, unpack it or save it as CSV"),
    (b"BZh", "it is a bzip2 file, unpack it first"),
    (b"\xfd7zXZ", "it is an xz file, unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is a zstd file, unpack it first"),
    (b"\xd0\xcf\x11\xe0", "it is a spreadsheet, save it as CSV"),
    (b"\xff\xfe", "it is UTF-16, save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16, save it as UTF-8"),
];

/// Returns the text, or the first line that is not text (from 1) and the rule.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, (u64, String)> {
    if let Some((_, what)) = OTHER_FILES.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err((1, format!("must be a text in UTF-8; {what}")));
    }
    let line_of = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let rule = "must be a text in UTF-8, and has a NUL byte; save it as UTF-8 if it is UTF-16";
        return Err((line_of(at), rule.to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let rule = "must be a text in UTF-8; save it as UTF-8 if it is Latin-1 or Windows-1252";
        (line_of(error.valid_up_to()), rule.to_owned())
    })?;
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err((1, "must not be empty".to_owned()));
    }
    Ok(text)
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
            (b"\xff\xfei\0d\0", 1, "UTF-16"),
            (b"i\0d\0", 1, "NUL"),
            (b"id\n\n1\0\n", 3, "NUL"),
            (b"name\nCaf\xe9\n", 2, "Latin-1"),
            (b"\x89PNG\r\n\x1a\n", 1, "UTF-8"),
        ] {
            let (found, rule) = decode(bytes).unwrap_err();
            assert!(found == line && rule.contains(named), "{bytes:?}: {found} {rule}");
        }
        assert_eq!(decode("Café".as_bytes()), Ok("Café"));
    }
}
