//! Waits for other processes, which send no events to the test.

use std::time::{Duration, Instant};

/// The time-out: longer than anything takes on a busy machine, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two checks. This is the only sleep of code that waits for a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Calls `look` until it returns a value, for at most this time.
pub fn wait_for<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}

/// Waits until a condition holds.
///
/// # Panics
///
/// If it does not hold within [`PATIENCE`]; the message names the condition.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let held = wait_for(PATIENCE, || holds().then_some(()));
    assert!(held.is_some(), "waited in vain until {what}");
}

/// Waits until a condition holds, and lets other tasks run meanwhile.
///
/// # Panics
///
/// As [`wait_until`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_as_long_as_it_takes_and_no_longer_than_it_may() {
        let mut looks = 0;
        wait_until("the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
        let started = Instant::now();
        assert_eq!(wait_for(LOOK * 2, || None::<()>), None);
        assert!(started.elapsed() >= LOOK * 2);
    }
}
