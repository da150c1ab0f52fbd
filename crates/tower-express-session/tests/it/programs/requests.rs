//! Requests that are under way at the same time, and the order in which they act.
//!
//! Each acts at certain moments: when it starts, and after each of its `sleep`s. What it has to do
//! at a moment it does at once, so as long as no two requests have the same moment, and none is
//! later than the next one's, every server does the same in the same order.

use super::Post;

/// A single request is a group of one.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// Each starts so long after the one before.
    pub(crate) gap_ms: u64,
    pub(crate) posts: Vec<Post>,
}

impl Requests {
    pub(crate) fn one(post: Post) -> Requests {
        Requests { gap_ms: 0, posts: vec![post] }
    }

    /// When a request is to start, counted from the first one's start.
    pub(crate) fn start_ms(&self, index: usize) -> u64 {
        self.gap_ms * index as u64
    }

    /// When a request is to be answered, if nothing but its sleeps took time.
    pub(crate) fn end_ms(&self, index: usize) -> u64 {
        self.start_ms(index) + self.posts[index].sleeps_ms().sum::<u64>()
    }

    /// The requests in the order of their answers.
    pub(crate) fn by_end(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.posts.len()).collect();
        order.sort_by_key(|&index| self.end_ms(index));
        order
    }

    /// How late a request may act without meeting another one. A request alone meets nobody.
    pub(crate) fn slack_ms(&self) -> u64 {
        let mut moments: Vec<(u64, usize)> =
            (0..self.posts.len()).flat_map(|index| self.moments(index)).collect();
        moments.sort_unstable();
        let meetings = moments.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        meetings.map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(u64::MAX)
    }

    /// How late a request was at the worst of its moments, given when its answer came.
    pub(crate) fn lateness_ms(&self, index: usize, answered_ms: f64) -> f64 {
        let (start_ms, end_ms) = (self.start_ms(index) as f64, self.end_ms(index) as f64);
        // An answer before its time is that of a request which failed before its first sleep.
        let failed = answered_ms < end_ms - TIMER_ERROR_MS;
        answered_ms - if failed { start_ms } else { end_ms }
    }

    /// The same in slow motion.
    pub(crate) fn slower(&self, times: u64) -> Requests {
        let posts = self.posts.iter().map(|post| post.slower(times)).collect();
        Requests { gap_ms: self.gap_ms * times, posts }
    }

    /// When a request acts, with its number.
    fn moments(&self, index: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut moment_ms = self.start_ms(index);
        let after_sleeps = self.posts[index].sleeps_ms().map(move |sleep_ms| {
            moment_ms += sleep_ms;
            (moment_ms, index)
        });
        std::iter::once((self.start_ms(index), index)).chain(after_sleeps)
    }
}

/// Node's timers count whole milliseconds, so that each may fire almost one too early. No request
/// of a group sleeps more than this often.
pub(crate) const TIMER_ERROR_MS: f64 = 4.0;

const SLEEP: &str = "[\"sleep\",";

/// How long an operation sleeps, if that is what it does.
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
            panic!("not requests")
        };
        requests
    }

    #[test]
    fn knows_when_requests_act() {
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
    fn knows_how_late_a_request_was() {
        let one = requests("POST / [[\"sleep\",40]]\n");
        assert_eq!(one.lateness_ms(0, 45.0), 5.0);
        assert_eq!(one.lateness_ms(0, 25.0), 25.0);
    }
}
