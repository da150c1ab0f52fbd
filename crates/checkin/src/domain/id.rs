//! Identities of users and of locations: whole numbers from 1 to 2^53-1, and never mixed up.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::number::{MAX_SAFE_INTEGER, decimal};

/// Why a number or a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    NotANumber,
    Zero,
    TooLarge,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "must be a whole number",
            Self::Zero => "must be at least 1",
            Self::TooLarge => "must be at most 9007199254740991",
        })
    }
}

impl Error for IdError {}

fn checked(number: u64) -> Result<u64, IdError> {
    match number {
        0 => Err(IdError::Zero),
        1..=MAX_SAFE_INTEGER => Ok(number),
        _ => Err(IdError::TooLarge),
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
                decimal(text).ok_or(IdError::NotANumber).and_then(checked).map(Self)
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
    /// Who checks in.
    UserId
}
id! {
    /// Where they check in.
    LocationId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_numbers_that_javascript_can_hold() {
        for (number, outcome) in [
            (0, Err(IdError::Zero)),
            (1, Ok(1)),
            (MAX_SAFE_INTEGER, Ok(MAX_SAFE_INTEGER)),
            (MAX_SAFE_INTEGER + 1, Err(IdError::TooLarge)),
        ] {
            assert_eq!(UserId::try_from(number).map(UserId::get), outcome);
            assert_eq!(number.to_string().parse::<LocationId>().map(LocationId::get), outcome);
        }
        assert_eq!("077".parse::<UserId>(), Err(IdError::NotANumber));
        assert_eq!(UserId::try_from(77).unwrap().to_string(), "77");
    }
}
