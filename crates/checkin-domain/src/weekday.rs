//! Days of the week.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A day of the week, from Monday on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Returns 0 for Monday to 6 for Sunday.
    pub fn index(self) -> usize {
        self as usize
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "Monday",
            Self::Tuesday => "Tuesday",
            Self::Wednesday => "Wednesday",
            Self::Thursday => "Thursday",
            Self::Friday => "Friday",
            Self::Saturday => "Saturday",
            Self::Sunday => "Sunday",
        }
    }

    pub fn before(self) -> Self {
        Self::ALL[(self.index() + 6) % 7]
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Weekday {
    type Err = WeekdayError;

    /// Reads a name in upper or lower case, because people type it into addresses.
    fn from_str(text: &str) -> Result<Self, WeekdayError> {
        Self::ALL
            .into_iter()
            .find(|day| day.as_str().eq_ignore_ascii_case(text))
            .ok_or(WeekdayError)
    }
}

/// The error of a text that is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeekdayError;

impl fmt::Display for WeekdayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a day of the week, like Monday")
    }
}

impl Error for WeekdayError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_known_by_their_names() {
        for day in Weekday::ALL {
            assert_eq!(day.to_string().to_uppercase().parse(), Ok(day));
        }
        assert_eq!("Mon".parse::<Weekday>(), Err(WeekdayError));
    }
}
