//! A value as it was sent, and the trait of what can be read from it.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// 2^63: numbers from here on are integers, whatever their spelling.
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// The rule that a JSON string breaks if it has half of a surrogate pair.
pub(crate) const HALF_A_CHARACTER: &str =
    "must not contain half a character, such as \\ud83d alone";

/// A value as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given<'a> {
    /// A part of a path, a query, a header or a table, where a number is a text like any other.
    Bare(Cow<'a, str>),
    /// A bare value whose bytes are not a text.
    NoText,
    /// A JSON string.
    Text(Cow<'a, str>),
    /// A JSON string with half a character in it.
    HalfText,
    /// A JSON number in its spelling: `1`, `1.0` and `1e0` are three different spellings. From 2^63
    /// on, it is the digits of an integer, because JavaScript writes such an integer as `1e+30`.
    Number(Cow<'a, str>),
    /// JSON's `null`.
    Null,
    /// Other JSON: true or false, a list or an object.
    Json(Cow<'a, str>),
}

impl<'a> Given<'a> {
    /// A part of a path, a query, a header or a table.
    pub(crate) fn bare(text: &'a str) -> Self {
        Self::Bare(text.into())
    }

    /// Returns the text.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub(crate) fn text(&self) -> Result<&str, String> {
        match self {
            Self::Bare(text) | Self::Text(text) => Ok(text),
            Self::NoText => Err("must be UTF-8".to_owned()),
            Self::HalfText => Err(HALF_A_CHARACTER.to_owned()),
            Self::Number(_) | Self::Null | Self::Json(_) => Err("must be a text".to_owned()),
        }
    }

    /// Returns the digits of an integer. In JSON it must be a number: `"5"` is refused.
    ///
    /// # Errors
    ///
    /// The rule that it breaks. What it returns need not be an integer.
    pub(crate) fn integer(&self) -> Result<&str, String> {
        match self {
            Self::Bare(text) | Self::Number(text) => Ok(text),
            Self::NoText => self.text(),
            _ => Err("must be an integer".to_owned()),
        }
    }

    /// Returns the content of a text or a number, and the JSON of any other value.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Bare(text) | Self::Text(text) | Self::Number(text) | Self::Json(text) => text,
            Self::Null => "null",
            Self::NoText | Self::HalfText => "",
        }
    }

    /// Returns the JSON of a list, an object or a boolean; empty for any other value.
    pub(crate) fn json(&self) -> &str {
        if let Self::Json(json) = self { json } else { "" }
    }

    /// Returns whether it is an empty text.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Bare(text) | Self::Text(text) if text.is_empty())
    }
}

/// A single value that cannot be wrong once it is read.
pub(crate) trait Input: Sized {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// The rule that it breaks: "must …".
    fn read(given: &Given<'_>) -> Result<Self, String>;

    /// Returns the value of a field that is not given, or `None` if the field is required.
    fn absent() -> Option<Self> {
        None
    }
}

/// A value that may be left out, in JSON also by `null`.
impl<T: Input> Input for Option<T> {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        if *given == Given::Null { Ok(None) } else { T::read(given).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<'a> From<&'a RawValue> for Given<'a> {
    fn from(raw: &'a RawValue) -> Self {
        let json = raw.get();
        match json.as_bytes().first() {
            Some(b'"') if !json.contains('\\') => Self::Text(json[1..json.len() - 1].into()),
            Some(b'"') => serde_json::from_str::<String>(json)
                .map_or(Self::HalfText, |text| Self::Text(text.into())),
            Some(b'-' | b'0'..=b'9') => Self::Number(spelled(json)),
            _ if json == "null" => Self::Null,
            _ => Self::Json(json.into()),
        }
    }
}

/// Returns the digits of a large integer, and any other number as it was sent.
fn spelled(number: &str) -> Cow<'_, str> {
    match number.parse::<f64>() {
        Ok(large)
            if large.abs() >= LARGE && large.is_finite() && number.contains(['.', 'e', 'E']) =>
        {
            format!("{large:.0}").into()
        }
        _ => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_values_are_distinguished_by_their_spelling() {
        for (json, given) in [
            ("\"\"", Given::Text("".into())),
            ("\"a é\"", Given::Text("a é".into())),
            (r#""a\n\u00e9""#, Given::Text("a\né".into())),
            (r#""\ud83d""#, Given::HalfText),
            ("1", Given::Number("1".into())),
            ("-1.0e2", Given::Number("-1.0e2".into())),
            ("18446744073709551616", Given::Number("18446744073709551616".into())),
            ("1e+20", Given::Number("100000000000000000000".into())),
            ("-1E20", Given::Number("-100000000000000000000".into())),
            ("1e400", Given::Number("1e400".into())),
            ("null", Given::Null),
            ("true", Given::Json("true".into())),
            ("[1]", Given::Json("[1]".into())),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            assert_eq!(Given::from(raw), given, "{json}");
        }
    }
}
