//! Computes when each check-in is due.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// The number of due check-ins that wait in the channel, in case the process stalls, before the
/// clock thread itself waits. They stay due from their own times.
const WAITING: usize = 4096;

/// The rate and the duration of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Check-ins per second, at least 1.
    pub rate: u32,
    /// The time from the first check-in to the end of the last one's interval.
    pub duration: Duration,
}

impl Pace {
    /// Returns the number of check-ins, at least 1.
    #[must_use]
    pub fn count(self) -> u64 {
        let count = self.duration.as_millis() * u128::from(self.rate) / 1000;
        u64::try_from(count).unwrap_or(u64::MAX).max(1)
    }

    /// Returns when a check-in is due, from the start.
    #[must_use]
    pub fn due(self, number: u64) -> Duration {
        let rate = u64::from(self.rate.max(1));
        let nanos = number % rate * 1_000_000_000 / rate;
        Duration::from_secs(number / rate) + Duration::from_nanos(nanos)
    }

    /// Sends the number of each check-in when it is due, until the last one or until the receiver
    /// is dropped.
    ///
    /// It runs on a thread of its own, because the timers of the runtime are exact to a
    /// millisecond, which is longer than many responses take.
    pub(super) fn ticks(self, start: Instant) -> mpsc::Receiver<u64> {
        let (sender, receiver) = mpsc::channel(WAITING);
        thread::spawn(move || {
            for number in 0..self.count() {
                let due = start + self.due(number);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if sender.blocking_send(number).is_err() {
                    return;
                }
            }
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_are_fixed_and_do_not_drift() {
        let pace = Pace { rate: 3, duration: Duration::from_secs(10) };
        assert_eq!(pace.count(), 30);
        assert_eq!(pace.due(0), Duration::ZERO);
        assert_eq!(pace.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(pace.due(3_000_001), Duration::new(1_000_000, 333_333_333));
    }

    #[test]
    fn a_short_run_has_one_check_in() {
        assert_eq!(Pace { rate: 1, duration: Duration::from_millis(10) }.count(), 1);
        assert_eq!(Pace { rate: 50, duration: Duration::from_millis(2500) }.count(), 125);
    }
}
