//! The weeks of the leaderboards.

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The number of milliseconds in a week.
pub const WEEK_MS: u64 = 7 * DAY_MS;

/// The first Monday after 1970 began: 1970-01-01 was a Thursday.
const FIRST_MONDAY_MS: u64 = 4 * DAY_MS;

/// Returns when the week that contains this time began: Monday 00:00 UTC. Both are milliseconds since
/// 1970; for the days before the first Monday of 1970, it returns 0.
#[must_use]
pub const fn monday_ms(time_ms: u64) -> u64 {
    match time_ms.checked_sub(FIRST_MONDAY_MS) {
        Some(since) => time_ms - since % WEEK_MS,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday() {
        for (time_ms, monday) in [
            (0, 0),
            (FIRST_MONDAY_MS - 1, 0),
            (FIRST_MONDAY_MS, FIRST_MONDAY_MS),
            (FIRST_MONDAY_MS + WEEK_MS - 1, FIRST_MONDAY_MS),
            (FIRST_MONDAY_MS + WEEK_MS, FIRST_MONDAY_MS + WEEK_MS),
            // 2021-01-02 17:41 UTC, a Saturday, and 2020-12-28.
            (1_609_602_085_397, 1_609_113_600_000),
            // 2024-02-29, a Thursday, and 2024-02-26.
            (1_709_164_800_000, 1_708_905_600_000),
            // 2026-08-31 00:00 UTC is a Monday; the moment before is in the week of 2026-08-24.
            (1_788_134_400_000, 1_788_134_400_000),
            (1_788_134_399_999, 1_787_529_600_000),
        ] {
            assert_eq!(monday_ms(time_ms), monday, "{time_ms}");
        }
        assert!(u64::MAX - monday_ms(u64::MAX) < WEEK_MS);
    }
}
