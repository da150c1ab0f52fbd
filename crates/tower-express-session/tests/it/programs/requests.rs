//! Groups of parallel requests, and the order in which they act.
//!
//! Each request acts at certain times: when it starts, and after each of its `sleep`s. The
//! operations between two sleeps take almost no time. So if no two requests act at the same time,
//! and none is late by more than the distance to the next one, every server executes the operations
//! in the same order.

use super::Post;

/// A single request is a group of one.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// The time between the starts of two successive requests.
    pub(crate) gap_ms: u64,
    pub(crate) posts: Vec<Post>,
}

impl Requests {
    pub(crate) fn one(post: Post) -> Requests {
        Requests { gap_ms: 0, posts: vec![post] }
    }

    /// Returns when a request starts, relative to the start of the first one.
    pub(crate) fn start_ms(&self, index: usize) -> u64 {
        self.gap_ms * index as u64
    }

    /// Returns when the response is expected if only the sleeps take time.
    pub(crate) fn end_ms(&self, index: usize) -> u64 {
        self.start_ms(index) + self.posts[index].sleeps_ms().sum::<u64>()
    }

    /// Returns the requests in the order of their responses.
    pub(crate) fn by_end(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.posts.len()).collect();
        order.sort_by_key(|&index| self.end_ms(index));
        order
    }

    /// Returns how late a request may act without overtaking another one; unlimited for a single
    /// request.
    pub(crate) fn slack_ms(&self) -> u64 {
        let mut moments: Vec<(u64, usize)> =
            (0..self.posts.len()).flat_map(|index| self.moments(index)).collect();
        moments.sort_unstable();
        let meetings = moments.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        meetings.map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(u64::MAX)
    }

    /// Returns an upper limit for the lateness of a request, from the time of its response.
    pub(crate) fn lateness_ms(&self, index: usize, answered_ms: f64) -> f64 {
        let (start_ms, end_ms) = (self.start_ms(index) as f64, self.end_ms(index) as f64);
        // An early response comes from a request that failed before its first sleep.
        let failed = answered_ms < end_ms - TIMER_ERROR_MS;
        answered_ms - if failed { start_ms } else { end_ms }
    }

    /// Returns the same group, slowed down.
    pub(crate) fn slower(&self, times: u64) -> Requests {
        let posts = self.posts.iter().map(|post| post.slower(times)).collect();
        Requests { gap_ms: self.gap_ms * times, posts }
    }

    /// Returns the times at which a request acts, with its number.
    fn moments(&self, index: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut moment_ms = self.start_ms(index);
        let after_sleeps = self.posts[index].sleeps_ms().map(move |sleep_ms| {
            moment_ms += sleep_ms;
            (moment_ms, index)
        });
        std::iter::once((self.start_ms(index), index)).chain(after_sleeps)
    }
}

/// The maximum error of Node's timers in a request. Each timer may fire almost one millisecond
/// early, and no request of a group sleeps more often than this.
pub(crate) const TIMER_ERROR_MS: f64 = 4.0;

const SLEEP: &str = "[\"sleep\",";

/// Returns how long an operation sleeps, if it is a sleep.
fn sleep_ms(operation: &str) -> Option<u64> {
    operation.strip_prefix(SLEEP)?.trim_end_matches(']').trim().parse().ok()
}

impl Post {
    pub(crate) fn sleeps_ms(&self) -> impl Iterator<Item = u64> {
        self.operations.iter().filter_map(|operation| sleep_ms(operation))
    }

    fn slower(&self, times: u64) -> Post {
        let slower = |operation: &String| match sleep_ms(operation) {
            Some(ms) => format!("{SLEEP}{}]", ms * times),
            None => operation.clone(),
        };
        Post { operations: self.operations.iter().map(slower).collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Step, parse};
    use super::*;

    fn requests(lines: &str) -> Requests {
        let table = format!("program x\nparallel 20\n{lines}end\n");
        let Step::Requests(requests) = parse(&table).remove(0).steps.remove(0) else {
            panic!("the table contains no requests")
        };
        requests
    }

    #[test]
    fn start_and_end_times_follow_from_the_sleeps() {
        let slow = "POST / [[\"sleep\",40],[\"set\",\"a\",1],[\"sleep\",80]]\n";
        let two = requests(&format!("{slow}POST / []\n"));
        assert_eq!((two.end_ms(0), two.end_ms(1), two.slack_ms()), (120, 20, 20));
        assert_eq!(two.by_end(), [1, 0]);
        assert_eq!((two.slower(3).end_ms(0), two.slower(3).slack_ms()), (360, 60));
        let meeting = requests(&format!("{slow}POST / []\nPOST / []\n"));
        assert_eq!(meeting.slack_ms(), 0);
        assert_eq!(Requests::one(two.posts[0].clone()).slack_ms(), u64::MAX);
    }

    #[test]
    fn lateness_is_measured_from_the_response() {
        let one = requests("POST / [[\"sleep\",40]]\n");
        assert_eq!(one.lateness_ms(0, 45.0), 5.0);
        assert_eq!(one.lateness_ms(0, 25.0), 25.0);
    }
}
