//! A check-in: one user, at one location, with a rating, at one moment.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::comment::Comment;
use crate::id::{LocationId, UserId};
use crate::number::{MAX_SAFE_INTEGER, decimal};

/// Maximum difference between the clocks of two machines, in milliseconds. A time that is further ahead
/// of our clock is not the time of an event.
pub const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// The year 2000, in milliseconds since 1970: there are no earlier check-ins. A smaller number has
/// another unit.
pub const EARLIEST_MS: u64 = 946_684_800_000;

/// The first sequence number of private check-ins.
const FIRST_PRIVATE: u64 = 1 << 52;

/// A check-in that is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkin {
    pub id: CheckinId,
    /// The time of the check-in, in milliseconds since 1970. It is the time of the id, unless the
    /// check-in was imported behind later ones or arrived while the ids were ahead of the clock.
    pub time_ms: u64,
    pub user: UserId,
    pub location: LocationId,
    pub stars: StarRating,
    pub comment: Option<Comment>,
    /// Whether only its user sees it. A private check-in is in no log that others read, and in no figure.
    pub is_private: bool,
}

/// A check-in that is not yet in the log, which assigns its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NewCheckin {
    pub user: UserId,
    pub location: LocationId,
    pub stars: StarRating,
    pub comment: Option<Comment>,
    pub is_private: bool,
}

impl NewCheckin {
    pub fn with_id(self, id: CheckinId) -> Checkin {
        let Self { user, location, stars, comment, is_private } = self;
        Checkin { id, time_ms: id.ms, user, location, stars, comment, is_private }
    }
}

/// The id of a check-in, which is its position in the log: milliseconds since 1970, and a sequence
/// number within the millisecond.
///
/// Its text form is `ms-seq`, as in a Redis stream, on every store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckinId {
    // The order of these two fields is the order of the log.
    pub ms: u64,
    pub seq: u64,
}

impl CheckinId {
    /// The position before every check-in. It is a cursor and never the id of an entry.
    pub const MIN: Self = Self { ms: 0, seq: 0 };

    /// The position after every check-in.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// Returns the id of a private check-in: the time and a number that is computed from a hash. The numbers of the
    /// log, which count up from 0 in each millisecond, do not reach those from 2^52 on, so that no two ids are the
    /// same and none in the log tells of a private one.
    pub fn private(ms: u64, hash: u64) -> Self {
        Self { ms, seq: FIRST_PRIVATE | hash & (FIRST_PRIVATE - 1) }
    }

    /// Returns the next id of a private check-in at this time.
    #[must_use]
    pub fn next_private(self) -> Self {
        Self::private(self.ms, self.seq + 1)
    }

    /// Returns whether other stores accept this id at `now_ms` (milliseconds since 1970). They refuse an
    /// id that is ahead of the clock, is before the year 2000, or has a number that JavaScript cannot
    /// represent exactly.
    pub fn is_portable(self, now_ms: u64) -> bool {
        (EARLIEST_MS..=now_ms).contains(&self.ms) && self.seq <= MAX_SAFE_INTEGER
    }
}

impl fmt::Display for CheckinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for CheckinId {
    type Err = CheckinIdError;

    fn from_str(text: &str) -> Result<Self, CheckinIdError> {
        let (ms, seq) = text.split_once('-').ok_or(CheckinIdError)?;
        let ms = decimal(ms).ok_or(CheckinIdError)?;
        let seq = decimal(seq).ok_or(CheckinIdError)?;
        Ok(Self { ms, seq })
    }
}

/// The error of a text that is not `milliseconds-sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckinIdError;

impl fmt::Display for CheckinIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be milliseconds and a sequence number, like 1609602085397-0")
    }
}

impl Error for CheckinIdError {}

/// A rating of 0 to 5 stars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StarRating(u8);

impl StarRating {
    pub const MAX: u8 = 5;

    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for StarRating {
    type Error = StarRatingError;

    fn try_from(stars: u64) -> Result<Self, StarRatingError> {
        match u8::try_from(stars) {
            Ok(stars) if stars <= Self::MAX => Ok(Self(stars)),
            _ => Err(StarRatingError),
        }
    }
}

impl FromStr for StarRating {
    type Err = StarRatingError;

    fn from_str(text: &str) -> Result<Self, StarRatingError> {
        decimal(text).ok_or(StarRatingError).and_then(Self::try_from)
    }
}

impl fmt::Display for StarRating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error of a number that is not a rating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StarRatingError;

impl fmt::Display for StarRatingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an integer from 0 to 5")
    }
}

impl Error for StarRatingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_go_from_zero_to_five() {
        for stars in 0..=5 {
            assert_eq!(u64::from(StarRating::try_from(stars).unwrap().get()), stars);
        }
        for stars in [6, 255, 256, u64::MAX] {
            assert_eq!(StarRating::try_from(stars), Err(StarRatingError));
        }
        assert_eq!("5".parse::<StarRating>().map(StarRating::get), Ok(5));
        for text in ["6", "1]", "-1", "4.5", "05", ""] {
            assert_eq!(text.parse::<StarRating>(), Err(StarRatingError), "{text:?}");
        }
    }

    #[test]
    fn checkin_ids_have_one_spelling() {
        let max = format!("{0}-{0}", u64::MAX);
        for text in ["0-0", "1609602085397-0", "5-17", &max] {
            assert_eq!(text.parse::<CheckinId>().unwrap().to_string(), text);
        }
        for text in ["", "-", "5", "5-", "-5", "+5-1", "5-+1", "05-1", "5-01", "5-1-1", " 5-1"] {
            assert_eq!(text.parse::<CheckinId>(), Err(CheckinIdError), "{text:?}");
        }
    }

    #[test]
    fn ids_sort_as_numbers_and_not_as_text() {
        let id = |text: &str| text.parse::<CheckinId>().unwrap();
        assert!(id("9-0") < id("10-0"));
        assert!(id("10-9") < id("10-10"));
        assert!(CheckinId::MIN < id("0-1"));
    }
}
