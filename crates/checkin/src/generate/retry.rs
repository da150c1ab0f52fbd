//! Decides whether and when to send a request again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The maximum number of attempts. With the waits between them, the client outlasts an outage of
/// ten seconds.
pub(super) const ATTEMPTS: u32 = 9;

/// The waits between attempts. Each one is twice as long as the one before.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(4))
    .without_max_times();

/// The maximum wait that a service may ask for. The client gives up if it asks for more.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Returns the wait after this number of attempts, where the service may have asked for
/// `retry_after`, or `None` if there have been enough attempts.
pub(super) fn wait(attempts: u32, retry_after: Option<Duration>) -> Option<Duration> {
    if attempts >= ATTEMPTS {
        return None;
    }
    match retry_after {
        Some(asked) => (asked <= LONGEST_RETRY_AFTER).then_some(asked),
        None => WAITS.build().nth(attempts as usize - 1),
    }
}

/// Returns the value of `Retry-After` if it is a number of seconds. Our services send no dates.
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
    fn retry_after_is_honoured() {
        let asked = retry_after(Some("2"));
        assert_eq!(wait(1, asked), Some(Duration::from_secs(2)));
        assert_eq!(wait(ATTEMPTS, asked), None);
        assert_eq!(wait(1, retry_after(Some("900"))), None);
        assert_eq!(retry_after(Some("Wed, 21 Oct 2026 07:28:00 GMT")), None);
        assert_eq!(retry_after(None), None);
    }
}
