//! A calendar of a year: one square for each day, the darker the more check-ins it has.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// The number of weeks, the last one of which may not be over.
const WEEKS: u8 = 53;

/// The lowest numbers of check-ins of the darker squares.
const LEVELS: [u64; 4] = [1, 2, 3, 5];

/// The distance from a square to the next one.
const STEP: usize = 14;

/// The squares of a year.
pub(super) struct Calendar {
    pub(super) squares: Vec<Square>,
    /// The names of months, and where they begin.
    pub(super) months: Vec<(usize, String)>,
    /// All check-ins in it, and the number of days with any.
    pub(super) checkins: u64,
    pub(super) days: usize,
}

/// A day.
pub(super) struct Square {
    pub(super) x: usize,
    pub(super) y: usize,
    /// From 0, no check-in, to 4.
    pub(super) level: usize,
    /// What a day with check-ins is called.
    pub(super) title: Option<String>,
}

impl Calendar {
    /// Returns the calendar up to today (UTC). The keys are dates.
    pub(super) fn until_today(counts: &BTreeMap<String, u64>) -> Self {
        Self::until(TimeZone::UTC.to_datetime(Timestamp::now()).date(), counts)
    }

    /// Weeks are columns and begin on Monday.
    fn until(today: Date, counts: &BTreeMap<String, u64>) -> Self {
        let monday = i64::from(today.weekday().to_monday_zero_offset());
        let first = today.saturating_sub((monday + 7 * (i64::from(WEEKS) - 1)).days());
        let (mut squares, mut months) = (Vec::new(), Vec::new());
        let (mut checkins, mut days) = (0, 0);
        for (at, day) in first.series(1.day()).take_while(|day| *day <= today).enumerate() {
            let count = counts.get(&day.to_string()).copied().unwrap_or_default();
            checkins += count;
            days += usize::from(count > 0);
            let (x, y) = (at / 7 * STEP, at % 7 * STEP);
            // Not in the last columns, where there is no room for it.
            if day.day() == 1 && at / 7 + 2 < usize::from(WEEKS) {
                months.push((x, day.strftime("%b").to_string()));
            }
            let level = LEVELS.iter().filter(|lowest| count >= **lowest).count();
            let noun = if count == 1 { "check-in" } else { "check-ins" };
            let date = day.strftime("%-d %b %Y");
            let title = (count > 0).then(|| format!("{date}: {count} {noun}"));
            squares.push(Square { x, y, level, title });
        }
        Self { squares, months, checkins, days }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_ends_today() {
        let today = Date::constant(2026, 11, 28);
        let count = |date: &str, count| (date.to_owned(), count);
        let counts = [
            count("2026-11-28", 6),
            count("2026-11-23", 1),
            count("2025-11-24", 2),
            count("2025-11-23", 9),
        ];
        let calendar = Calendar::until(today, &counts.into());
        assert_eq!((calendar.checkins, calendar.days), (9, 3), "what is before is not shown");
        let (first, last) = (&calendar.squares[0], calendar.squares.last().unwrap());
        assert_eq!((first.x, first.y, first.level), (0, 0, 2), "a Monday");
        assert_eq!((last.x, last.y, last.level), (52 * STEP, 5 * STEP, 4), "a Saturday");
        assert_eq!(last.title.as_deref(), Some("28 Nov 2026: 6 check-ins"));
        assert_eq!(calendar.months.first(), Some(&(STEP, "Dec".to_owned())));
        assert_eq!(calendar.months.len(), 12, "{:?}", calendar.months);
    }
}
