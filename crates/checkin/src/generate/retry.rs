//! Whether to send once more, and when.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// How often a request is sent at most. With the waits between, a service that is back within ten
/// seconds is waited for.
pub(super) const ATTEMPTS: u32 = 9;

/// The waits after an attempt: the first one, and each further one twice as long.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(4))
    .without_max_times();

/// The longest wait that a service may ask for; one that wants more has given up.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// How long to wait after so many attempts, the service having asked for this; `None` if there have
/// been enough.
pub(super) fn wait(attempts: u32, retry_after: Option<Duration>) -> Option<Duration> {
    if attempts >= ATTEMPTS {
        return None;
    }
    match retry_after {
        Some(asked) => (asked <= LONGEST_RETRY_AFTER).then_some(asked),
        None => WAITS.build().nth(attempts as usize - 1),
    }
}

/// The value of a `Retry-After`, if it is a number of seconds. (Our services send no dates.)
pub(super) fn retry_after(value: Option<&str>) -> Option<Duration> {
    value?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<Duration> = (1..).map_while(|attempts| wait(attempts, None)).collect();
        let ms: Vec<u128> = waits.iter().map(Duration::as_millis).collect();
        assert_eq!(ms, [50, 100, 200, 400, 800, 1600, 3200, 4000]);
        assert!(waits.iter().sum::<Duration>() > Duration::from_secs(10));
    }

    #[test]
    fn what_the_service_asks_for_is_honoured() {
        let asked = retry_after(Some("2"));
        assert_eq!(wait(1, asked), Some(Duration::from_secs(2)));
        assert_eq!(wait(ATTEMPTS, asked), None);
        assert_eq!(wait(1, retry_after(Some("900"))), None);
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }
}
