//! The findings of `checkin doctor` about the sentinels.

use std::collections::BTreeSet;

use checkin_storage::Finding;
use redis_link::{Obstacle, SentinelView};

/// The least number of sentinels of which one may be missing.
const ENOUGH: usize = 3;

/// Returns what is found about the sentinels that the store's URL names, nothing if there are none.
pub(super) fn findings(views: Vec<(String, Result<SentinelView, Obstacle>)>) -> Vec<Finding> {
    if views.is_empty() {
        return Vec::new();
    }
    let (named, mut findings) = (views.len(), Vec::new());
    let (mut known, mut others, mut no_quorum) = (1, BTreeSet::new(), None);
    for (address, view) in views {
        match view {
            Ok(view) => {
                known = known.max(1 + view.others.len());
                others.extend(view.others);
                no_quorum = no_quorum.or(view.no_quorum.map(|said| (address, said)));
            }
            Err(obstacle) => findings.push(Finding::warning(
                format!("the sentinel {address} cannot be asked: {obstacle}"),
                "start it, or name the right ones in the store's URL",
            )),
        }
    }
    if let Some((address, said)) = no_quorum {
        findings.push(Finding::problem(
            format!("the sentinels cannot replace the master: {address} says {said}"),
            "start the missing sentinels, or `redis-cli SENTINEL SET MASTER quorum NUMBER` on each of them",
        ));
    }
    if known < ENOUGH {
        findings.push(Finding::warning(
            format!("the number of sentinels is {known}: while one is missing, nobody replaces the master"),
            "run three or more, on different machines",
        ));
    } else if named < known {
        findings.push(Finding::warning(
            format!("the store's URL names {named} of {known} sentinels"),
            format!(
                "name all of them: {}. Those that are gone for good leave the list by `redis-cli SENTINEL RESET MASTER`",
                others.into_iter().collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(format!("{known} sentinels can replace the master")));
    }
    findings
}
