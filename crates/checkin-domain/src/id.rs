//! The ids of users and of locations: integers from 1 to 2^53-1, each of its own type.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::number::{MAX_SAFE_INTEGER, decimal};

/// The reason why a number or a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    NotANumber,
    LeadingZeros,
    TooSmall,
    TooLarge,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "must be an integer",
            Self::LeadingZeros => "must be an integer without leading zeros",
            Self::TooSmall => "must be at least 1",
            Self::TooLarge => "must be at most 9007199254740991",
        })
    }
}

impl Error for IdError {}

fn checked(number: u64) -> Result<u64, IdError> {
    match number {
        0 => Err(IdError::TooSmall),
        1..=MAX_SAFE_INTEGER => Ok(number),
        _ => Err(IdError::TooLarge),
    }
}

/// Reads an id, which has only one spelling. If the text is another integer, the error names the rule
/// that it violates.
fn read(text: &str) -> Result<u64, IdError> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    match decimal(text) {
        Some(number) => checked(number),
        None if text.strip_prefix('-').is_some_and(is_digits) => Err(IdError::TooSmall),
        None if !is_digits(text) => Err(IdError::NotANumber),
        None if text.starts_with('0') => Err(IdError::LeadingZeros),
        None => Err(IdError::TooLarge),
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            pub fn get(self) -> u64 {
                self.0
            }
        }

        impl TryFrom<u64> for $name {
            type Error = IdError;

            fn try_from(number: u64) -> Result<Self, IdError> {
                checked(number).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                read(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// The id of a user.
    UserId
}
id! {
    /// The id of a location.
    LocationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_numbers_that_javascript_can_hold() {
        for (number, outcome) in [
            (0, Err(IdError::TooSmall)),
            (1, Ok(1)),
            (MAX_SAFE_INTEGER, Ok(MAX_SAFE_INTEGER)),
            (MAX_SAFE_INTEGER + 1, Err(IdError::TooLarge)),
        ] {
            assert_eq!(UserId::try_from(number).map(UserId::get), outcome);
            assert_eq!(number.to_string().parse::<LocationId>().map(LocationId::get), outcome);
        }
        for (text, error) in [
            ("077", IdError::LeadingZeros),
            ("00", IdError::LeadingZeros),
            ("-1", IdError::TooSmall),
            ("-99999999999999999999", IdError::TooSmall),
            ("99999999999999999999", IdError::TooLarge),
            ("", IdError::NotANumber),
            ("-", IdError::NotANumber),
            ("1.0", IdError::NotANumber),
            ("x", IdError::NotANumber),
        ] {
            assert_eq!(text.parse::<UserId>(), Err(error), "{text:?}");
        }
        assert_eq!(UserId::try_from(77).unwrap().to_string(), "77");
    }
}
