//! What a user writes about a check-in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use crate::text::{TextError, changes_direction, check_remark};

/// The comment of a check-in: a short text of one line, in Unicode's normal form C.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comment(Arc<str>);

impl Comment {
    /// Maximum number of characters (code points).
    pub const MAX_CHARS: usize = 200;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Makes a comment from the text of another service, whose rules differ: each control character and line
    /// break becomes a blank, characters that change the direction of text are left out, and a longer text is
    /// cut. Returns `None` if nothing remains that can be seen.
    pub fn adapted(text: &str) -> Option<Self> {
        let kept = text.nfc().filter(|c| !changes_direction(*c));
        let blank = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
        let line: String = kept.map(blank).collect();
        let line = line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let line = match line.char_indices().nth(Self::MAX_CHARS) {
            None => line,
            Some(_) => {
                let head: String = line.chars().take(Self::MAX_CHARS - 1).collect();
                format!("{}…", head.trim_end())
            }
        };
        line.parse().ok()
    }
}

impl FromStr for Comment {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let text: String = text.nfc().collect();
        check_remark(&text, Self::MAX_CHARS)?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, TextError> {
        text.parse::<Comment>().map(|comment| comment.to_string())
    }

    #[test]
    fn a_comment_is_one_line_in_normal_form() {
        assert_eq!(read("Zoe\u{308}'s café"), Ok("Zo\u{eb}'s café".to_owned()));
        assert_eq!(read(&"e\u{301}".repeat(200)), Ok("\u{e9}".repeat(200)));
        assert_eq!(read(&"\u{e9}".repeat(201)), Err(TextError::TooLong { max_chars: 200 }));
        for (text, error) in [
            ("", TextError::Empty),
            (" a", TextError::Padded),
            ("a\nb", TextError::Control),
            ("a\u{2028}b", TextError::Control),
            ("a\u{0}b", TextError::Control),
            ("a\u{202e}b", TextError::Direction),
            ("\u{200b}", TextError::Invisible),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        for text in ["שלום \u{200f}!", "👩\u{200d}👧 <b>&", "'=1"] {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_foreign_text_is_adapted() {
        let adapted = |text: &str| Comment::adapted(text).map(|comment| comment.to_string());
        assert_eq!(adapted(" a\r\n\tb\u{2028}\u{202e}c ").as_deref(), Some("a b c"));
        for text in ["", " \n", "\u{202e}", "\u{200b}"] {
            assert_eq!(adapted(text), None, "{text:?}");
        }
        let long = adapted(&"ab ".repeat(100)).unwrap();
        assert!(long.chars().count() <= 200 && long.ends_with("ab a…"), "{long}");
        assert_eq!(adapted(&"é".repeat(200)), Some("é".repeat(200)));
    }
}
