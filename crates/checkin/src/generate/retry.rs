//! Whether to send once more, and when.

use std::time::Duration;

/// How often a request is sent at most. With the waits between, a service that is back within ten
/// seconds is waited for.
pub(super) const ATTEMPTS: u32 = 9;

/// The wait after the first attempt; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The longest wait of our own.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

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
        None => Some((FIRST_WAIT * (1 << (attempts - 1).min(16))).min(LONGEST_WAIT)),
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
