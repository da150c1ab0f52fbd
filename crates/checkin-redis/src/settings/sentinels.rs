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
    let (mut known, mut others, mut is_hidden) = (None, BTreeSet::new(), false);
    let (mut can_replace, mut no_quorum) = (false, None);
    for (address, view) in views {
        match view {
            Ok(view) => {
                is_hidden |= view.others.is_none() || view.quorum.is_none();
                known = known.max(view.others.as_ref().map(|others| 1 + others.len()));
                others.extend(view.others.into_iter().flatten());
                match view.quorum {
                    Some(Err(said)) => no_quorum = no_quorum.or(Some((address, said))),
                    quorum => can_replace |= quorum.is_some(),
                }
            }
            Err(obstacle) => findings.push(Finding::warning(
                format!("the sentinel {address} cannot be asked: {obstacle}"),
                "start it, or name the right ones in the store's URL",
            )),
        }
    }
    if is_hidden {
        findings.push(Finding::warning(
            "a sentinel does not answer SENTINEL CKQUORUM or SENTINEL SENTINELS",
            "allow both commands to the user of the sentinels, on each of them",
        ));
    }
    findings.extend(no_quorum.map(|(address, said)| no_quorum_at(&address, &said, can_replace)));
    match known {
        Some(known) if known < ENOUGH => findings.push(Finding::warning(
            format!("the number of sentinels is {known}: while one is missing, nobody replaces the master"),
            "run three or more, on different machines",
        )),
        Some(known) if named < known => findings.push(Finding::warning(
            format!("the store's URL names {named} of {known} sentinels"),
            format!(
                "name all of them: {}. Those that are gone for good leave the list by `redis-cli SENTINEL RESET MASTER`",
                others.into_iter().collect::<Vec<_>>().join(", ")
            ),
        )),
        Some(known) if findings.is_empty() => {
            findings.push(Finding::fine(format!("{known} sentinels can replace the master")));
        }
        _ => {}
    }
    findings
}

/// Returns the finding about a sentinel that reaches too few others. One that reaches enough of them can have the master
/// replaced.
fn no_quorum_at(address: &str, said: &str, can_replace: bool) -> Finding {
    const ADVICE: &str = "start the missing sentinels, or `redis-cli SENTINEL SET MASTER quorum NUMBER` on each of them";
    match can_replace {
        true => Finding::warning(
            format!("only some sentinels can have the master replaced: {address} says {said}"),
            ADVICE,
        ),
        false => Finding::problem(
            format!("the sentinels cannot replace the master: {address} says {said}"),
            ADVICE,
        ),
    }
}
