//! Rules for the texts that people see: names, phone numbers, descriptions.

use std::error::Error;
use std::fmt;

/// Maximum number of characters of a first name, a last name, or the name of a location.
pub const MAX_NAME_CHARS: usize = 100;

/// Checks a text of one line. It must have a visible character, and must not have blanks around it,
/// control characters, characters that change the direction of text, or invisible characters that no
/// script needs, so that two names that look the same are the same.
///
/// # Errors
///
/// The first rule that the text violates.
pub fn check_line(text: &str, max_chars: usize) -> Result<(), TextError> {
    check(text, max_chars, is_line_break)?;
    if text.chars().any(is_bidi_control) {
        return Err(TextError::Direction);
    }
    if has_hidden(text) { Err(TextError::Hidden) } else { Ok(()) }
}

/// Checks like [`check_line`], but accepts line breaks, marks of direction and invisible characters
/// inside the text, because a description identifies nobody.
///
/// # Errors
///
/// The first rule that the text violates.
pub fn check_prose(text: &str, max_chars: usize) -> Result<(), TextError> {
    check(text, max_chars, |_| false)
}

/// Checks like [`check_prose`], but refuses line breaks.
///
/// # Errors
///
/// The first rule that the text violates.
pub fn check_remark(text: &str, max_chars: usize) -> Result<(), TextError> {
    check(text, max_chars, is_line_break)
}

fn check(text: &str, max_chars: usize, refused: fn(char) -> bool) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.trim() != text {
        return Err(TextError::Padded);
    }
    if text.chars().any(|c| refused(c) || (c.is_control() && !is_line_break(c))) {
        return Err(TextError::Control);
    }
    if text.chars().any(changes_direction) {
        return Err(TextError::Direction);
    }
    if text.chars().all(is_invisible) {
        return Err(TextError::Invisible);
    }
    if text.chars().count() > max_chars {
        return Err(TextError::TooLong { max_chars });
    }
    Ok(())
}

/// Line feed, and the separators of lines and paragraphs.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\u{2028}' | '\u{2029}')
}

/// Returns whether this is an embedding, override or isolate. If it is not closed, it changes the
/// direction of the text that follows.
pub(super) fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether the character has the Unicode property `Bidi_Control`: the characters above, and
/// marks of direction.
pub(super) fn is_bidi_control(c: char) -> bool {
    changes_direction(c) || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
}

/// Returns whether the text has an invisible character that is not needed inside a name. Joiners and
/// variation selectors are needed, and so are tags after a black flag, which make it that of a region.
fn has_hidden(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1f3f4}' {
            let region =
                |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
            let tags = rest.clone().take_while(region).count();
            if (3..=6).contains(&tags) && rest.clone().nth(tags) == Some('\u{e007f}') {
                rest.nth(tags);
            }
        } else if is_hidden(c) {
            return true;
        }
    }
    false
}

fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether the character is invisible by itself: blanks, characters that Unicode calls default
/// ignorable (including joiners, which words and emoji need), and the empty Braille cell.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The reason why a text cannot be displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    Empty,
    Padded,
    Control,
    Direction,
    Hidden,
    Invisible,
    TooLong { max_chars: usize },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::Padded => f.write_str("must not begin or end with a blank"),
            Self::Control => f.write_str("must not contain control characters"),
            Self::Direction => {
                f.write_str("must not contain characters that change the direction of text")
            }
            Self::Hidden => f.write_str("must not contain invisible characters"),
            Self::Invisible => f.write_str("must have a visible character"),
            Self::TooLong { max_chars } => write!(f, "must be at most {max_chars} characters long"),
        }
    }
}

impl Error for TextError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_error() {
        for (text, line, prose) in [
            ("Zoë", Ok(()), Ok(())),
            ("日本語名", Ok(()), Ok(())),
            ("", Err(TextError::Empty), Err(TextError::Empty)),
            (" Al", Err(TextError::Padded), Err(TextError::Padded)),
            ("a\nb", Err(TextError::Control), Ok(())),
            ("a\u{2028}b", Err(TextError::Control), Ok(())),
            ("a\u{1b}b", Err(TextError::Control), Err(TextError::Control)),
            ("a\u{202e}b", Err(TextError::Direction), Err(TextError::Direction)),
            ("a\u{200e}b", Err(TextError::Direction), Ok(())),
            ("a\u{200b}b", Err(TextError::Hidden), Ok(())),
            ("\u{200b}", Err(TextError::Invisible), Err(TextError::Invisible)),
            (
                "seven77",
                Err(TextError::TooLong { max_chars: 6 }),
                Err(TextError::TooLong { max_chars: 6 }),
            ),
        ] {
            assert_eq!(check_line(text, 6), line, "{text:?}");
            assert_eq!(check_prose(text, 6), prose, "{text:?}");
        }
    }

    #[test]
    fn a_text_must_have_a_visible_character() {
        for text in [
            "\u{200b}\u{200d}\u{feff}",
            "\u{200c}\u{200d}",
            "\u{2060}",
            "\u{ad}",
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{2800}\u{2800}",
            "\u{fe0f}",
            "\u{e0061}\u{e007f}",
            "\u{200b} \u{200b}",
        ] {
            assert_eq!(check_line(text, 100), Err(TextError::Invisible), "{text:?}");
        }
        for bidi in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}".chars() {
            let text = format!("A{bidi}l");
            assert_eq!(check_line(&text, 100), Err(TextError::Direction), "{text:?}");
        }
        let hidden = "\u{ad}\u{200b}\u{2060}\u{2064}\u{feff}\u{180e}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{e0001}";
        for hidden in hidden.chars() {
            let text = format!("A{hidden}l");
            assert_eq!(check_line(&text, 100), Err(TextError::Hidden), "{text:?}");
        }
        for text in [
            "Al\u{e0061}\u{e007f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}",
            "\u{1f3f4}\u{e0067}\u{e007f}",
            "\u{1f3f4}\u{e0020}\u{e0020}\u{e0020}\u{e007f}",
        ] {
            assert_eq!(check_line(text, 100), Err(TextError::Hidden), "{text:?}");
        }
        for text in ["\u{202d}Al", "Al\u{202c}", "\u{2066}Al\u{2069}", "\u{202e}"] {
            assert_eq!(check_line(text, 100), Err(TextError::Direction), "{text:?}");
        }
    }

    /// Words and emoji contain joiners and selectors.
    #[test]
    fn names_of_every_script_are_accepted() {
        for text in [
            "می\u{200c}خواهم",
            "ශ්\u{200d}රී ලංකා",
            "👩\u{200d}👩\u{200d}👧",
            "☕\u{fe0f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "שלום",
            "ร้านกาแฟ",
            "O’Hara",
            "𐍈",
        ] {
            assert_eq!(check_line(text, 100), Ok(()), "{text:?}");
        }
    }
}
