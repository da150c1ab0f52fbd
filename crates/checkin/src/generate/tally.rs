//! The results of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The maximum latency that is recorded: more than all attempts with their waits take.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The number of significant digits of a latency.
const DIGITS: u8 = 3;

/// The final result of one check-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 202: the check-in is stored.
    Accepted,
    /// 422: an identical check-in was stored.
    Duplicate,
    /// Another status.
    Refused(u16),
    /// There was no response to any attempt.
    Unanswered,
}

/// The counts and latencies of a run so far.
#[derive(Clone)]
pub struct Report {
    sent: u64,
    accepted: u64,
    duplicates: u64,
    refused: BTreeMap<u16, u64>,
    unanswered: u64,
    missed: u64,
    retries: u64,
    /// The times from when a check-in was due to its response, in microseconds.
    latencies: Histogram<u64>,
}

impl Default for Report {
    fn default() -> Self {
        let longest = LONGEST.as_micros() as u64;
        let latencies = Histogram::new_with_bounds(1, longest, DIGITS)
            .expect("the bounds are in order and the digits few");
        Self {
            sent: 0,
            accepted: 0,
            duplicates: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            missed: 0,
            retries: 0,
            latencies,
        }
    }
}

impl Report {
    /// Counts a check-in that is sent.
    pub fn count_sent(&mut self) {
        self.sent += 1;
    }

    /// Counts a check-in that was due but could not be sent.
    pub fn count_missed(&mut self) {
        self.missed += 1;
    }

    /// Counts a further attempt.
    pub fn count_retry(&mut self) {
        self.retries += 1;
    }

    /// Counts a check-in with a response, or without one at the end.
    pub fn count(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Outcome::Accepted => self.accepted += 1,
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Refused(status) => *self.refused.entry(status).or_default() += 1,
            Outcome::Unanswered => {
                self.unanswered += 1;
                return;
            }
        }
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(micros);
    }

    /// Counts the check-ins in flight as unanswered.
    pub fn give_up_the_rest(&mut self) {
        self.unanswered = self.sent - self.answered();
    }

    /// Returns the number of check-ins that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns the number of check-ins with any response.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.accepted + self.duplicates + self.refused.values().sum::<u64>()
    }

    /// Returns the number of check-ins that were neither accepted nor duplicates.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.unanswered + self.missed
    }

    /// Returns whether the receiver limited a user.
    #[must_use]
    pub fn met_a_limit(&self) -> bool {
        self.refused.contains_key(&429)
    }

    /// Returns the summary of a run of this duration.
    pub fn summary(&self, took: Duration) -> impl fmt::Display {
        Summary(self.clone(), took)
    }

    /// Returns the progress of a run of this duration in one line.
    #[must_use]
    pub fn line(&self, took: Duration) -> String {
        format!(
            "{:.0}/s, {} answered, p50 {}, p99 {}, {} errors",
            per_second(self.answered(), took),
            self.answered(),
            self.latency(0.5),
            self.latency(0.99),
            self.failed(),
        )
    }

    fn latency(&self, quantile: f64) -> String {
        milliseconds(self.latencies.value_at_quantile(quantile))
    }
}

struct Summary(Report, Duration);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tally, took) = self;
        writeln!(f, "sent        {}", tally.sent)?;
        writeln!(f, "accepted    {}", tally.accepted)?;
        writeln!(f, "duplicates  {}", tally.duplicates)?;
        writeln!(f, "refused     {}", tally.refused.values().sum::<u64>())?;
        for (status, count) in &tally.refused {
            writeln!(f, "  with {status}  {count}")?;
        }
        writeln!(f, "errors      {}", tally.unanswered)?;
        writeln!(f, "missed      {}", tally.missed)?;
        writeln!(f, "retries     {}", tally.retries)?;
        let rate = per_second(tally.answered(), *took);
        writeln!(f, "rate        {rate:.1} answers a second")?;
        let (median, nines) = (tally.latency(0.5), [0.9, 0.99, 0.999].map(|q| tally.latency(q)));
        let [ninety, ninety_nine, most] = nines;
        let longest = milliseconds(tally.latencies.max());
        write!(
            f,
            "latency     p50 {median}  p90 {ninety}  p99 {ninety_nine}  p99.9 {most}  max {longest}"
        )
    }
}

fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}

fn milliseconds(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("sent", &self.sent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_summary_contains_every_outcome() {
        let mut tally = Report::default();
        (0..7).for_each(|_| tally.count_sent());
        tally.count(Outcome::Accepted, ms(1));
        tally.count(Outcome::Accepted, ms(2));
        tally.count(Outcome::Duplicate, ms(3));
        tally.count(Outcome::Refused(429), ms(4));
        tally.count(Outcome::Unanswered, ms(9000));
        tally.count_retry();
        tally.count_missed();
        tally.give_up_the_rest();
        assert_eq!((tally.sent(), tally.answered(), tally.failed()), (7, 4, 5));
        assert!(tally.met_a_limit());
        let summary = tally.summary(ms(2000)).to_string();
        let expected = "sent        7\naccepted    2\nduplicates  1\nrefused     1\n  with 429  1\n\
            errors      3\nmissed      1\nretries     1\nrate        2.0 answers a second\n\
            latency     p50 2.00 ms  p90 4.00 ms  p99 4.00 ms  p99.9 4.00 ms  max 4.00 ms";
        assert_eq!(summary, expected);
        assert_eq!(tally.line(ms(2000)), "2/s, 4 answered, p50 2.00 ms, p99 4.00 ms, 5 errors");
    }

    #[test]
    fn an_empty_run_has_a_summary() {
        assert!(Report::default().summary(Duration::ZERO).to_string().contains("max 0.00 ms"));
    }
}
