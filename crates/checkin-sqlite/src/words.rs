//! The words of names, as the full-text index takes them.

use checkin_domain::words::index_words;

/// The words of a name as their index takes them.
pub(crate) fn indexed(name: &str) -> String {
    index_words(name).iter().map(|word| token(word)).collect::<Vec<_>>().join(" ")
}

/// A word as the tokenizer leaves it whole: it splits at punctuation of ASCII, which is there in a
/// name without letters. Folded words have none of the characters that stand for it here.
pub(crate) fn token(word: &str) -> String {
    const FULL_WIDTH: u32 = 0xfee0;
    let whole = |c: char| match c.is_ascii_punctuation() {
        true => char::from_u32(u32::from(c) + FULL_WIDTH).unwrap_or(c),
        false => c,
    };
    word.chars().map(whole).collect()
}
