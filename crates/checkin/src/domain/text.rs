//! Rules for the texts that people see: names, phone numbers, descriptions.

use std::error::Error;
use std::fmt;

/// Most characters of a first name, a last name, or the name of a location.
pub const MAX_NAME_CHARS: usize = 100;

/// Checks a text of one line: something in it, no blanks around it, no control characters.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check_line(text: &str, max_chars: usize) -> Result<(), TextError> {
    check(text, max_chars, char::is_control)
}

/// Like [`check_line`], but line breaks may stand inside.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check_prose(text: &str, max_chars: usize) -> Result<(), TextError> {
    check(text, max_chars, |c| c.is_control() && c != '\n')
}

fn check(text: &str, max_chars: usize, refused: fn(char) -> bool) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.trim() != text {
        return Err(TextError::Padded);
    }
    if text.chars().any(refused) {
        return Err(TextError::Control);
    }
    if text.chars().count() > max_chars {
        return Err(TextError::TooLong { max_chars });
    }
    Ok(())
}

/// Why a text is not fit to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextError {
    Empty,
    Padded,
    Control,
    TooLong { max_chars: usize },
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::Padded => f.write_str("must not begin or end with a blank"),
            Self::Control => f.write_str("must not contain control characters"),
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
            ("a\u{1b}b", Err(TextError::Control), Err(TextError::Control)),
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
}
