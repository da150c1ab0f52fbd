//! The weeks that have leaderboards of their own.

use std::time::Duration;

use checkin_domain::monday_ms;
use checkin_domain::week::WEEK_MS;

/// The number of weeks for which the leaderboard of a week is kept after the week began.
const WEEKS_KEPT: u64 = 5;

/// The minimum time for which histories are kept: the weeks that have leaderboards are counted from them, and
/// a day more, because clocks differ. An idempotency key and the marks of duplicates live for a shorter time.
pub const MIN_KEPT: Duration = Duration::from_secs((WEEKS_KEPT * 7 + 1) * 24 * 60 * 60);

/// Returns the Mondays of the weeks that these times are in, in order, if a leaderboard of theirs is
/// kept at `now_ms`. All in milliseconds since 1970.
#[must_use]
pub fn kept_weeks(times_ms: impl IntoIterator<Item = u64>, now_ms: u64) -> Vec<u64> {
    let weeks = times_ms.into_iter().map(monday_ms);
    let mut weeks: Vec<u64> = weeks.filter(|monday| is_kept(*monday, now_ms)).collect();
    weeks.sort_unstable();
    weeks.dedup();
    weeks
}

/// Returns whether the leaderboard of the week that began at this Monday is kept at `now_ms`.
#[must_use]
pub fn is_kept(monday: u64, now_ms: u64) -> bool {
    monday > last_expired(now_ms)
}

/// Returns the Monday of the last week of which the leaderboard is no longer kept at `now_ms`.
#[must_use]
pub fn last_expired(now_ms: u64) -> u64 {
    monday_ms(now_ms).saturating_sub(WEEKS_KEPT * WEEK_MS)
}

/// Returns when the leaderboard of the week that began at this Monday is no longer needed.
#[must_use]
pub fn kept_until(monday: u64) -> u64 {
    monday + (WEEKS_KEPT + 1) * WEEK_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-09-02 12:00 UTC, a Wednesday; its week began at 1,788,134,400,000.
    const NOW_MS: u64 = 1_788_350_400_000;
    const MONDAY: u64 = 1_788_134_400_000;

    #[test]
    fn five_weeks_are_kept() {
        let weeks = |times: &[u64]| kept_weeks(times.iter().copied(), NOW_MS);
        assert_eq!(weeks(&[NOW_MS, MONDAY, NOW_MS - WEEK_MS]), [MONDAY - WEEK_MS, MONDAY]);
        assert_eq!(weeks(&[MONDAY - 4 * WEEK_MS]), [MONDAY - 4 * WEEK_MS]);
        assert_eq!(weeks(&[MONDAY - 4 * WEEK_MS - 1]), [0; 0]);
        assert!(!is_kept(MONDAY, kept_until(MONDAY)));
        let kept = u64::try_from(MIN_KEPT.as_millis()).unwrap();
        assert!(!is_kept(monday_ms(MONDAY + WEEK_MS - 1 - kept), MONDAY + WEEK_MS - 1));
        assert!(MIN_KEPT > crate::IDEMPOTENCY_TTL);
    }
}
