//! Runs a fault and compares what the clients were answered with what the store has.

use std::time::{Duration, Instant};

use testkit::Rng;

use super::deployment::Deployment;
use super::history::{History, Verdict};
use super::rows::{Promise, Row};
use crate::harness::Service;

/// How long the clients run before and after a fault.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);

/// How long the clients may wait for their next accepted check-in after a fault.
const RECOVERY: Duration = Duration::from_secs(30);

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
    let unverified = deployment.unverified();
    let verdict = history.judge(&deployment.books().await, row.promise, since).await;
    Verdict { unverified, ..verdict }
}

/// Returns what broke a promise; empty if all are kept.
pub(crate) fn broken(row: &Row, verdict: &Verdict) -> Vec<String> {
    let mut counts = vec![
        ("not recovered", usize::from(!verdict.has_recovered)),
        ("lost against the promise", verdict.lost_against_promise),
        ("twice", verdict.twice),
        ("unasked", verdict.unasked),
        ("refused", verdict.refused),
        (
            "not served meanwhile",
            usize::from(row.longest_gap().is_some_and(|gap| verdict.gap > gap)),
        ),
    ];
    if row.promise == Promise::NothingLost {
        counts.extend([
            ("ids that do not increase", verdict.unordered),
            ("lost logins", verdict.lost_logins),
            ("undone logouts", verdict.undone_logouts),
        ]);
    }
    let broken = counts.into_iter().filter(|(_, count)| *count > 0);
    let mut broken: Vec<_> = broken.map(|(what, count)| format!("{what}: {count}")).collect();
    if row.promise == Promise::NothingLost {
        broken.extend(verdict.unverified.as_ref().map(|said| format!("not verified:\n{said}")));
    }
    broken
}

/// Returns the line of the table.
pub(crate) fn line(row: &Row, verdict: &Verdict) -> String {
    let Verdict { accepted, lost, twice, logins, lost_logins, undone_logouts, gap, p99, .. } =
        verdict;
    let when = match verdict.lost_at {
        Some((first, last)) => format!(", confirmed {first} to {last} ms after the fault"),
        None => String::new(),
    };
    format!(
        "| {} | {} | {} | {} | {} | {accepted} | {lost}{when} | {twice} | {lost_logins}, {undone_logouts} of {logins} | {} ms | {} ms |",
        row.number(),
        row.fault,
        row.on(),
        row.replicas,
        row.promise,
        gap.as_millis(),
        p99.as_millis(),
    )
}
