//! Fail-overs under load: two of the faults of `make chaos`.

use crate::chaos::deployment::Form;
use crate::chaos::faults::Fault;
use crate::chaos::rows::{Row, rows};
use crate::chaos::run;

async fn keeps_its_promise(of: impl Fn(&Row) -> bool) {
    let row = rows().into_iter().find(of).unwrap();
    let verdict = run::run(&row, testkit::seed().into()).await;
    let line = run::line(&row, &verdict);
    assert!(verdict.checkins.confirmed > 100 && verdict.logins > 3, "{line}");
    let others = [&verdict.deletions, &verdict.private];
    assert!(others.iter().all(|changes| changes.confirmed > 10), "{line}");
    assert_eq!(run::broken(&row, &verdict), [""; 0], "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_change_is_lost_when_a_master_is_killed() {
    let of = |row: &Row| {
        (row.form, row.replicas) == (Form::Sentinel, 1) && matches!(row.fault, Fault::KillMaster)
    };
    keeps_its_promise(of).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_change_is_lost_when_a_primary_of_a_cluster_is_killed() {
    let of = |row: &Row| {
        (row.form, row.replicas) == (Form::Cluster, 1) && matches!(row.fault, Fault::KillMaster)
    };
    keeps_its_promise(of).await;
}
