//! The words of a name, as both stores search for them.

use unicode_normalization::UnicodeNormalization;

/// The marks that stand above, below or in a letter.
const DIACRITICS: std::ops::RangeInclusive<char> = '\u{300}'..='\u{36f}';

/// The letters and digits between what is neither, in lower case and without diacritics: `Zoë's`
/// is `zoe` and `s`.
pub(super) fn words(text: &str) -> Vec<String> {
    let plain = text.nfd().filter(|character| !DIACRITICS.contains(character)).nfc();
    let lower: String = plain.flat_map(char::to_lowercase).collect();
    let words = lower.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_without_case_and_diacritics() {
        for (text, expected) in [
            ("", ""),
            (" \0\t-*\"(", ""),
            ("Quillback Coffee", "quillback coffee"),
            ("Zoë's Café & Bar №5", "zoe s cafe bar 5"),
            ("CAFE\u{301}\0bar", "cafe bar"),
            ("ÅNGSTRÖM İstanbul ﬁn", "angstrom istanbul ﬁn"),
            ("Москва ΟΔΟΣ 서울 東京", "москва οδοσ 서울 東京"),
            ("24/7", "24 7"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text:?}");
        }
    }
}
