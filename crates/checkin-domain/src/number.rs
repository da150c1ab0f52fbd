//! Integers as text, each with one spelling.

/// The largest integer that JavaScript represents exactly. Ids and counters are shared with services
/// that are written in JavaScript.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Reads ASCII digits without sign, blanks or leading zeros.
///
/// `str::parse` alone would also accept `+1` and `01`, and a number would have several spellings.
pub fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_spelling() {
        for (text, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("01", None),
            ("00", None),
            (" 1", None),
            ("1.0", None),
            ("٣", None),
        ] {
            assert_eq!(decimal(text), number, "{text:?}");
        }
    }
}
