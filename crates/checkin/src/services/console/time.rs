//! Times as the pages write them.

use std::fmt;

use jiff::Timestamp;

/// A time in milliseconds since 1970. Scripts replace its text by how long ago it was.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    fn timestamp(self) -> Timestamp {
        let ms = i64::try_from(self.0).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
    }

    /// Returns the time as the attribute `datetime` has it.
    pub(super) fn iso(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%-d %b %Y, %H:%M UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people_and_for_scripts() {
        let moment = Moment(1_783_294_200_000);
        assert_eq!(moment.to_string(), "5 Jul 2026, 23:30 UTC");
        assert_eq!(moment.iso(), "2026-07-05T23:30:00Z");
        assert!(Moment(u64::MAX).iso().starts_with("9999"));
    }
}
