//! The words of names in the form of the full-text index.

use checkin_domain::words::index_words;

/// Returns the words of a name in the form of their index.
pub(crate) fn indexed(name: &str) -> String {
    index_words(name).iter().map(|word| token(word)).collect::<Vec<_>>().join(" ")
}

/// Returns a word in a form that the tokenizer does not split. It splits at ASCII punctuation, which
/// occurs in names without letters. Folded words do not contain the characters that replace it here.
pub(crate) fn token(word: &str) -> String {
    const FULL_WIDTH: u32 = 0xfee0;
    let whole = |c: char| match c.is_ascii_punctuation() {
        true => char::from_u32(u32::from(c) + FULL_WIDTH).unwrap_or(c),
        false => c,
    };
    word.chars().map(whole).collect()
}
