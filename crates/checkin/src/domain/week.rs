//! Weeks from Monday 00:00 UTC.

/// Milliseconds of a week.
pub const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The first Monday after 1970-01-01, a Thursday.
const FIRST_MONDAY_MS: u64 = 4 * 24 * 60 * 60 * 1000;

/// The Monday of the week that holds a moment; 0 before the first one. Milliseconds since 1970.
pub fn monday_ms(time_ms: u64) -> u64 {
    match time_ms.checked_sub(FIRST_MONDAY_MS) {
        Some(since) => time_ms - since % WEEK_MS,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_mondays() {
        const MONDAY: u64 = 1_795_392_000_000; // 2026-11-23
        for (time_ms, monday) in [
            (0, 0),
            (FIRST_MONDAY_MS - 1, 0),
            (FIRST_MONDAY_MS, FIRST_MONDAY_MS),
            (MONDAY - 1, MONDAY - WEEK_MS),
            (MONDAY, MONDAY),
            (MONDAY + WEEK_MS - 1, MONDAY),
        ] {
            assert_eq!(monday_ms(time_ms), monday, "{time_ms}");
        }
    }
}
