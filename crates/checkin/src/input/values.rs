//! Reads the values of the domain.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use super::documented::Documented;
use super::given::{Given, Input};
use crate::domain::number::decimal;
use crate::domain::text::{MAX_NAME_CHARS, check_line};
use crate::domain::{
    Category, CheckinId, Comment, Coordinates, Email, LocationId, MAX_SAFE_INTEGER, StarRating,
    UserId,
};
use crate::storage::LogPosition;

/// The form of addresses. The error texts name the other rules.
const EMAIL_PATTERN: &str = r"^[^@\s]+@[^@\s]+$";

/// Returns the schema of integers in a range.
fn integers(format: KnownFormat, least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(least as usize))
        .maximum(Some(most as usize))
}

macro_rules! integers_of_the_domain {
    ($($type:ty: $format:ident, $least:expr, $most:expr;)*) => {
        $(
            impl Input for $type {
                fn read(given: &Given<'_>) -> Result<Self, String> {
                    given.integer()?.parse().map_err(|rule| format!("{rule}"))
                }
            }

            impl Documented for $type {
                fn schema() -> ObjectBuilder {
                    integers(KnownFormat::$format, $least, $most)
                }
            }
        )*
    };
}

integers_of_the_domain! {
    UserId: Int64, 1, MAX_SAFE_INTEGER;
    LocationId: Int64, 1, MAX_SAFE_INTEGER;
    StarRating: Int32, 0, StarRating::MAX.into();
}

macro_rules! texts_of_the_domain {
    ($($type:ty),*) => {
        $(
            impl Input for $type {
                fn read(given: &Given<'_>) -> Result<Self, String> {
                    given.text()?.parse().map_err(|rule| format!("{rule}"))
                }
            }
        )*
    };
}

texts_of_the_domain!(Category, Comment, Coordinates, Email);

impl Documented for Category {
    fn schema() -> ObjectBuilder {
        let names = Self::ALL.map(Self::as_str).join("|");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!("^({names})$")))
    }
}

impl Documented for Email {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(Self::MAX_BYTES))
            .pattern(Some(EMAIL_PATTERN))
    }
}

impl Documented for Comment {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::MAX_CHARS))
    }
}

/// The address of an account that may have been opened when invisible characters were still
/// accepted.
#[derive(Debug)]
pub(crate) struct KnownEmail(pub(crate) Email);

impl Input for KnownEmail {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        Email::known(given.text()?).map(Self).map_err(|rule| rule.to_string())
    }
}

impl Documented for KnownEmail {
    fn schema() -> ObjectBuilder {
        Email::schema()
    }
}

/// A name of a person or of a location.
#[derive(Debug)]
pub(crate) struct DisplayName(pub(crate) String);

impl Input for DisplayName {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = given.text()?;
        check_line(text, MAX_NAME_CHARS).map_err(|rule| rule.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl Documented for DisplayName {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_NAME_CHARS))
    }
}

impl Input for bool {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = match given {
            Given::Bare(text) | Given::Json(text) => text,
            Given::NoText => given.text()?,
            // In JSON, "true" is a text.
            _ => "",
        };
        text.parse().map_err(|_| "must be true or false".to_owned())
    }
}

impl Documented for bool {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::Boolean)
    }
}

/// An integer in a range, without a sign or leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer<const LEAST: u64, const MOST: u64>(pub(crate) u64);

impl<const LEAST: u64, const MOST: u64> Input for Integer<LEAST, MOST> {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let number = decimal(given.integer()?).filter(|number| (LEAST..=MOST).contains(number));
        number.map(Self).ok_or_else(|| format!("must be an integer from {LEAST} to {MOST}"))
    }
}

impl<const LEAST: u64, const MOST: u64> Documented for Integer<LEAST, MOST> {
    fn schema() -> ObjectBuilder {
        let format = if MOST > i32::MAX as u64 { KnownFormat::Int64 } else { KnownFormat::Int32 };
        integers(format, LEAST, MOST)
    }
}

impl Input for CheckinId {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(|rule| format!("{rule}"))
    }
}

impl Documented for CheckinId {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})$"))
    }
}

impl Input for LogPosition {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        given.text()?.parse().map_err(|_| "must be the id of an event".to_owned())
    }
}

impl Documented for LogPosition {
    fn schema() -> ObjectBuilder {
        ObjectBuilder::new().schema_type(Type::String)
    }
}

/// Reads a number in JSON's form: `inf`, `nan`, `+1` and `.5` are refused.
pub(crate) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain { serde_json::from_str(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for (text, expected) in [("0", 0.0), ("-1.5", -1.5), ("1e3", 1000.0), ("1E-2", 0.01)] {
            assert_eq!(number(text), Some(expected));
        }
        for text in ["", "nan", "inf", "-", "+1", "1.", ".5", " 1", "1 ", "0x1", "01", "1e999"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
