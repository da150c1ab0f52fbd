//! Runs a fault and compares what the clients were answered with what the store has.

use std::time::{Duration, Instant};

use testkit::Rng;

use super::deployment::Deployment;
use super::faults::{Promise, Row};
use super::history::{History, Verdict};
use crate::harness::Service;

/// How long the clients run before and after a fault.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(3);

/// How long the clients may wait for their next accepted check-in after a fault.
const RECOVERY: Duration = Duration::from_secs(30);

/// Runs one fault.
pub(crate) async fn run(row: &Row, seed: u64) -> Verdict {
    let mut chance = Rng::with_seed(seed);
    let mut deployment = Deployment::start(row.form, row.replicas);
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
    let is_verified = deployment.is_verified();
    let verdict = history.judge(&deployment.redis(), since).await;
    assert!(is_verified || row.promise == Promise::MayLose, "the figures differ from the log");
    verdict
}

/// Returns what broke a promise; empty if all are kept.
pub(crate) fn broken(row: &Row, verdict: &Verdict) -> Vec<String> {
    let Verdict { lost, twice, unasked, refused, lost_logins, undone_logouts, .. } = verdict;
    let stuck = usize::from(!verdict.has_recovered);
    let mut counts = vec![
        ("not recovered", &stuck),
        ("twice", twice),
        ("unasked", unasked),
        ("refused", refused),
    ];
    if row.promise == Promise::NothingLost {
        counts.extend([
            ("lost", lost),
            ("lost logins", lost_logins),
            ("undone logouts", undone_logouts),
        ]);
    }
    let broken = counts.into_iter().filter(|(_, count)| **count > 0);
    broken.map(|(what, count)| format!("{what}: {count}")).collect()
}

/// Returns the line of the table.
pub(crate) fn line(row: &Row, verdict: &Verdict) -> String {
    let promise = match row.promise {
        Promise::NothingLost => "nothing is lost",
        Promise::MayLose => "what was not replicated may be lost",
    };
    let Verdict { accepted, lost, twice, logins, lost_logins, undone_logouts, gap, p99, .. } =
        verdict;
    format!(
        "| {} | {} | {} | {} | {promise} | {accepted} | {lost} | {twice} | {lost_logins}, {undone_logouts} of {logins} | {} ms | {} ms |",
        row.number,
        row.name,
        row.form,
        row.replicas,
        gap.as_millis(),
        p99.as_millis(),
    )
}
