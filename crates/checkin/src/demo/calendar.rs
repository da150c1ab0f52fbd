//! The local time of San Francisco, for check-ins that fit opening hours.
//!
//! It knows only the rule since 2007, because the data lie in the ninety days before now.

use crate::domain::Weekday;

const DAY_MIN: u64 = 24 * 60;

/// A day of the local calendar, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day(pub(super) u64);

impl Day {
    /// Returns the weekday. 1970 began on a Thursday.
    pub(super) fn weekday(self) -> Weekday {
        Weekday::ALL[((self.0 + 3) % 7) as usize]
    }

    /// Returns the time in milliseconds since 1970. The minute may lie after midnight.
    pub(super) fn utc_ms(self, minute: u64) -> u64 {
        let local = self.0 * DAY_MIN + minute;
        let behind = if is_summer(local) { 7 } else { 8 };
        (local + behind * 60) * 60_000
    }
}

/// Returns whether it is summer time: from the second Sunday of March to the first Sunday of
/// November, at two o'clock.
fn is_summer(local_min: u64) -> bool {
    let march = first_of_march(local_min / DAY_MIN);
    let start = sunday_from(march + 7);
    let end = sunday_from(march + 245);
    (start * DAY_MIN + 120..end * DAY_MIN + 120).contains(&local_min)
}

fn sunday_from(day: u64) -> u64 {
    day + 6 - Day(day).weekday().index() as u64
}

/// Returns the first of March in the year of this day.
fn first_of_march(day: u64) -> u64 {
    // 146,097 days are 400 years; the estimate is off by one at most.
    let estimate = 1970 + day * 400 / 146_097;
    let year = if day < new_year(estimate) {
        estimate - 1
    } else if day >= new_year(estimate + 1) {
        estimate + 1
    } else {
        estimate
    };
    new_year(year) + 31 + (new_year(year + 1) - new_year(year) - 337)
}

fn new_year(year: u64) -> u64 {
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_begin_where_they_should() {
        for (year, day) in [(1970, 0), (1971, 365), (1973, 1096), (2000, 10_957), (2024, 19_723)] {
            assert_eq!(new_year(year), day);
            assert_eq!(first_of_march(day), first_of_march(day + 364));
        }
        assert_eq!(first_of_march(19_723), 19_723 + 60); // 2024 is a leap year
        assert_eq!(first_of_march(20_089), 20_089 + 59); // 2025 is none
    }

    #[test]
    fn summer_time_begins_and_ends_on_its_sundays() {
        for (day, minute, utc_ms) in [
            (19_723, 0, 1_704_096_000_000),    // 2024-01-01 00:00 = 08:00Z
            (19_792, 119, 1_710_064_740_000),  // 2024-03-10 01:59 = 09:59Z
            (19_792, 180, 1_710_064_800_000),  // 2024-03-10 03:00 = 10:00Z
            (20_030, 119, 1_730_624_340_000),  // 2024-11-03 01:59 = 08:59Z, the first time
            (20_030, 120, 1_730_628_000_000),  // 2024-11-03 02:00 = 10:00Z
            (20_029, 1560, 1_730_628_000_000), // the same, as the end of a long Saturday
        ] {
            assert_eq!(Day(day).utc_ms(minute), utc_ms, "{day} {minute}");
        }
        assert_eq!(Day(19_792).weekday(), Weekday::Sunday);
    }
}
