//! Runs a fault and compares what the clients were answered with what the store has.

use std::time::{Duration, Instant};

use testkit::Rng;

use super::deployment::Deployment;
use super::history::History;
use super::rows::{Promise, Row};
use super::verdict::{Losses, Verdict};
use crate::harness::Service;

/// How long the clients run before and after a fault.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);

/// How long the clients may wait for their next accepted check-in after a fault.
const RECOVERY: Duration = Duration::from_secs(30);

/// How many examples a message has.
const SHOWN: usize = 3;

/// Runs one fault.
pub(crate) async fn run(row: &Row, seed: u64) -> Verdict {
    let mut chance = Rng::with_seed(seed);
    let mut deployment = Deployment::start(row.form, row.replicas, row.place());
    let history = History::of(deployment.receivers.iter().map(Service::client).collect());
    let clients = history.start(&deployment.auth.client(), &mut chance);
    tokio::time::sleep(BEFORE).await;
    let since = Instant::now();
    row.fault.happen(&mut deployment, &history, &mut chance).await;
    let (accepted, ended) = (history.accepted(), Instant::now());
    while history.accepted() < accepted + 100 && ended.elapsed() < RECOVERY {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(AFTER).await;
    history.stop(clients).await;
    let not_erased = deployment.wait_for_erasures().await;
    let unverified = deployment.unverified();
    let verdict = history.judge(&deployment.books().await, row.promise, since).await;
    let late = not_erased.iter().map(|user| format!("the account {user} is not erased"));
    let rests = verdict.rests.iter().cloned().chain(late).collect();
    Verdict { unverified, rests, ..verdict }
}

/// Returns what broke a promise; empty if all are kept.
pub(crate) fn broken(row: &Row, verdict: &Verdict) -> Vec<String> {
    let mut counts = vec![
        ("not recovered", usize::from(!verdict.has_recovered)),
        ("lost against the promise", verdict.checkins.against_promise),
        ("undone deletions against the promise", verdict.deletions.against_promise),
        ("lost private check-ins against the promise", verdict.private.against_promise),
        ("deleted accounts that are there against the promise", verdict.accounts.against_promise),
        ("twice", verdict.twice),
        ("unasked", verdict.unasked),
        (
            "not served meanwhile",
            usize::from(row.longest_gap().is_some_and(|gap| verdict.gap > gap)),
        ),
    ];
    let mut texts = vec![("refused", &verdict.refused), ("private, but shown", &verdict.leaks)];
    if row.promise == Promise::NothingLost {
        counts.extend([
            ("ids that do not increase", verdict.unordered),
            ("in one of two histories", verdict.halves),
            ("lost logins", verdict.lost_logins),
            ("undone logouts", verdict.undone_logouts),
        ]);
        texts.extend([("forgotten", &verdict.forgotten), ("left of accounts", &verdict.rests)]);
    }
    let broken = counts.into_iter().filter(|(_, count)| *count > 0);
    let mut broken: Vec<_> = broken.map(|(what, count)| format!("{what}: {count}")).collect();
    let texts = texts.into_iter().filter(|(_, texts)| !texts.is_empty());
    broken.extend(texts.map(|(what, texts)| {
        format!("{what}: {}, such as {:?}", texts.len(), &texts[..texts.len().min(SHOWN)])
    }));
    if row.promise == Promise::NothingLost {
        broken.extend(verdict.unverified.as_ref().map(|said| format!("not verified:\n{said}")));
    }
    broken
}

/// Returns the line of the table.
pub(crate) fn line(row: &Row, verdict: &Verdict) -> String {
    let Verdict { checkins, twice, logins, lost_logins, undone_logouts, gap, p99, .. } = verdict;
    let (deletions, private, accounts) = (&verdict.deletions, &verdict.private, &verdict.accounts);
    format!(
        "| {} | {} | {} | {} | {} | {} | {}{} | {twice} | {} | {} | {} | {lost_logins}, {undone_logouts} of {logins} | {} ms | {} ms |",
        row.number(),
        row.fault,
        row.on(),
        row.replicas,
        row.promise,
        checkins.confirmed,
        checkins.lost,
        times(checkins),
        share(deletions),
        share(private),
        share(accounts),
        gap.as_millis(),
        p99.as_millis(),
    )
}

fn share(losses: &Losses) -> String {
    format!("{} of {}{}", losses.lost, losses.confirmed, times(losses))
}

fn times(losses: &Losses) -> String {
    match losses.at {
        Some((first, last)) => format!(", confirmed {first} to {last} ms after the fault"),
        None => String::new(),
    }
}
