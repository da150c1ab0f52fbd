//! Whether a store has what the clients were answered.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use testkit::{Client, until};

use super::books::{Applied, Books};
use super::history::{Attempt, History, Kind, Known, Login, Visit, log_in};
use super::rows::Promise;

/// The number of requests at the end of which most must be accepted.
const LAST: usize = 100;

/// What a history and a store have in common, and what not.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Check-ins that are not in the histories of both their user and their location.
    pub(crate) checkins: Losses,
    /// Deleted check-ins that are in a history.
    pub(crate) deletions: Losses,
    /// Private check-ins that are not in the history of their user.
    pub(crate) private: Losses,
    /// Deleted accounts that are there, or of which something is left.
    pub(crate) accounts: Losses,
    pub(crate) twice: usize,
    /// Neither confirmed nor complete: in one of two histories.
    pub(crate) halves: usize,
    pub(crate) unordered: usize,
    /// Applied although nobody sent it.
    pub(crate) unasked: usize,
    /// Where a private check-in is seen that others see.
    pub(crate) leaks: Vec<String>,
    /// Where something of an account is left of which nobody was told that it is deleted.
    pub(crate) rests: Vec<String>,
    pub(crate) refused: Vec<String>,
    pub(crate) forgotten: Vec<String>,
    pub(crate) logins: usize,
    pub(crate) lost_logins: usize,
    pub(crate) undone_logouts: usize,
    /// Whether a check-in was accepted at the end.
    pub(crate) has_recovered: bool,
    /// The longest time without an accepted check-in, and the 99th percentile of the response times
    /// meanwhile.
    pub(crate) gap: Duration,
    pub(crate) p99: Duration,
    /// What the doctor said if it did not find that the figures are the sums over the log.
    pub(crate) unverified: Option<String>,
}

/// Confirmed changes, and those of them that are lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    pub(crate) confirmed: usize,
    pub(crate) lost: usize,
    /// Lost, although it was confirmed at a time at which nothing may be lost.
    pub(crate) against_promise: usize,
    /// When the lost ones were confirmed, in milliseconds after the fault began.
    pub(crate) at: Option<(i64, i64)>,
}

/// When faults began, and what is promised.
struct Moments<'a> {
    begins: &'a [Instant],
    promise: Promise,
}

impl History {
    /// Compares the history with the store, which must have applied everything.
    pub(crate) async fn judge(&self, books: &Books, promise: Promise, since: Instant) -> Verdict {
        let marks = self.marks.lock().unwrap().clone();
        let begins = if marks.is_empty() { &[since][..] } else { &marks };
        let moments = Moments { begins, promise };
        let mut verdict = self.compare(books, &moments, since);
        verdict.accounts = self.judge_accounts(books, &moments).await;
        let logins = std::mem::take(&mut *self.logins.lock().unwrap());
        verdict.logins = logins.len();
        for Login { mut client, is_ended } in logins {
            match (is_accepted(&mut client).await, is_ended) {
                (true, true) => verdict.undone_logouts += 1,
                (false, false) => verdict.lost_logins += 1,
                _ => {}
            }
        }
        verdict
    }

    /// Compares what was sent and confirmed with what was applied.
    fn compare(&self, books: &Books, moments: &Moments<'_>, since: Instant) -> Verdict {
        let Books { of_users, of_locations, private, deleted, .. } = books;
        let (users, locations) = (&of_users.visits, &of_locations.visits);
        let (public, hidden) = (self.ledger(Kind::Public), self.ledger(Kind::Private));
        // What deleted accounts had is gone with them.
        let lives = |(visit, _): &(&Visit, &Known)| !deleted.contains(&visit.0);
        let known = || public.iter().filter(lives);
        let has_both = |visit: &Visit| users.contains(visit) && locations.contains(visit);
        let has_one = |visit: &Visit| users.contains(visit) || locations.contains(visit);
        let hidden_known = || hidden.iter().filter(lives);
        let has = |visit: &Visit| private.visits.contains(visit);
        let deletions = moments.losses(
            known().filter_map(|(visit, known)| Some((known.deleted?, has_one(visit)))).chain(
                hidden_known().filter_map(|(visit, known)| Some((known.deleted?, has(visit)))),
            ),
        );
        let attempts = self.attempts.lock().unwrap();
        let (gap, p99) = outage(&attempts, since);
        let last = attempts.iter().rev().take(LAST);
        let is_half = |visit: &Visit| has_one(visit) && !has_both(visit);
        Verdict {
            checkins: moments.losses(kept(known()).map(|(at, visit)| (at, !has_both(visit)))),
            private: moments.losses(kept(hidden_known()).map(|(at, visit)| (at, !has(visit)))),
            deletions,
            twice: [of_users, of_locations, private].map(Applied::repeated).iter().sum(),
            halves: known().filter(|(visit, known)| !is_kept(known) && is_half(visit)).count(),
            unordered: self.unordered.load(Ordering::Relaxed),
            unasked: unasked(users.union(locations), |visit| public.contains_key(visit))
                + unasked(private.visits.iter(), |visit| hidden.contains_key(visit)),
            leaks: books.leaks.clone(),
            rests: books.rests.iter().map(|(_, what)| what.clone()).collect(),
            refused: self.refused.lock().unwrap().clone(),
            forgotten: self.forgotten.lock().unwrap().clone(),
            has_recovered: last.filter(|attempt| attempt.status == Some(202)).count() > LAST / 2,
            gap,
            p99,
            ..Verdict::default()
        }
    }

    /// Looks for deleted accounts that can log in, that have a session, or of which something is left.
    async fn judge_accounts(&self, books: &Books, moments: &Moments<'_>) -> Losses {
        let leavers = std::mem::take(&mut *self.leavers.lock().unwrap());
        let mut confirmed = Vec::new();
        for (user, mut leaver) in leavers {
            let Some(at) = leaver.confirmed else { continue };
            let has_rests = books.rests.iter().any(|(of, _)| *of == user);
            let is_there = !books.deleted.contains(&user)
                || is_accepted(&mut leaver.client).await
                || log_in(&mut leaver.client, user).await == Some(200);
            confirmed.push((at, has_rests || is_there));
        }
        moments.losses(confirmed.into_iter())
    }
}

/// Returns the confirmed check-ins that nobody asked to delete, and when they were confirmed.
fn kept<'a>(
    known: impl Iterator<Item = (&'a Visit, &'a Known)>,
) -> impl Iterator<Item = (Instant, &'a Visit)> {
    known.filter(|(_, known)| is_kept(known)).map(|(visit, known)| (known.accepted.unwrap(), visit))
}

fn is_kept(known: &Known) -> bool {
    known.accepted.is_some() && !known.is_deleting
}

fn unasked<'a>(visits: impl Iterator<Item = &'a Visit>, is_sent: impl Fn(&Visit) -> bool) -> usize {
    visits.filter(|visit| !is_sent(visit)).collect::<HashSet<_>>().len()
}

/// Returns whether a browser is logged in. On a busy machine, the store may take longer than `--store-timeout`.
async fn is_accepted(client: &mut Client) -> bool {
    let mut status = 503;
    until("GET /session is answered after the fault", async || {
        status = client.get("/session").await.status;
        status != 503
    })
    .await;
    match status {
        200 => true,
        401 => false,
        status => panic!("GET /session gets {status} after the fault"),
    }
}

impl Moments<'_> {
    /// Counts confirmed changes, each with its moment and whether it is lost.
    fn losses(&self, changes: impl Iterator<Item = (Instant, bool)>) -> Losses {
        let (mut confirmed, mut lost) = (0, Vec::new());
        for (moment, is_lost) in changes {
            confirmed += 1;
            if is_lost {
                lost.push(self.after_fault(moment));
            }
        }
        Losses {
            confirmed,
            lost: lost.len(),
            against_promise: lost.iter().filter(|at| !self.promise.lets_lose(**at)).count(),
            at: lost.iter().min().copied().zip(lost.iter().max().copied()),
        }
    }

    /// Returns how many milliseconds after the nearest beginning of a fault this was, less than 0 if it was before; if
    /// there is one, of a fault that may lose what was confirmed then.
    fn after_fault(&self, moment: Instant) -> i64 {
        let after = |begin: &Instant| {
            let after = moment.saturating_duration_since(*begin).as_millis() as i64;
            after - begin.saturating_duration_since(moment).as_millis() as i64
        };
        let nearest = |after: &i64| (!self.promise.lets_lose(*after), after.abs());
        self.begins.iter().map(after).min_by_key(nearest).unwrap()
    }
}

/// Returns the longest time without an accepted check-in, and the 99th percentile of the response times
/// of the requests that began in that time.
fn outage(attempts: &[Attempt], since: Instant) -> (Duration, Duration) {
    let mut ends: Vec<Instant> = attempts
        .iter()
        .filter(|attempt| attempt.status == Some(202))
        .map(|attempt| attempt.started + attempt.took)
        .filter(|end| *end >= since)
        .collect();
    let last = attempts.iter().map(|attempt| attempt.started + attempt.took).max();
    ends.extend([Some(since), last].into_iter().flatten());
    ends.sort_unstable();
    let gaps = ends.windows(2).map(|pair| (pair[1] - pair[0], pair[0], pair[1]));
    let Some((gap, from, to)) = gaps.max() else { return Default::default() };
    let meanwhile = |attempt: &&Attempt| (from..=to).contains(&attempt.started);
    let mut times: Vec<Duration> =
        attempts.iter().filter(meanwhile).map(|attempt| attempt.took).collect();
    times.sort_unstable();
    let p99 = times.get((times.len() * 99 / 100).min(times.len().saturating_sub(1)));
    (gap, p99.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_of_several_faults_may_lose_what_was_confirmed_before_it() {
        use super::*;

        let [before, after] = [2000, 500].map(Duration::from_millis);
        let promise = Promise::MayLose { before, after };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let moments = Moments { begins: &[at(3000), at(5000)], promise };
        let confirmed = [900, 1100, 3600, 5600].map(|ms| (at(ms), true));
        let losses = moments.losses(confirmed.into_iter());
        assert_eq!((losses.lost, losses.against_promise), (4, 2));
        assert_eq!(losses.at, Some((-2100, 600)));
    }
}
