//! The findings of `checkin doctor` about the replicas: their settings matter as soon as one is the master.

use checkin_storage::{Finding, Severity};
use futures_util::future::join_all;
use redis_link::{Client, Obstacle};

use super::{SECTIONS, eviction, persistence, saving, sync_policy};
use crate::connection::Connection;
use crate::info::{Info, Node, facts};
use crate::reply::texts;

/// Returns the problems of the replicas that may become masters, and the addresses of the others. Returns nothing if `ROLE`
/// is forbidden.
pub(super) async fn examined(redis: &Connection, is_cluster: bool) -> (Vec<Finding>, Vec<String>) {
    let replicas = redis.client.replicas().await.unwrap_or_default();
    let of_replica = async |(address, replica): &(String, Client)| {
        of_replica(address, replica, is_cluster).await
    };
    let found = join_all(replicas.iter().map(of_replica)).await;
    let never = replicas.into_iter().zip(&found).filter(|(_, found)| found.is_none());
    let never_masters = never.map(|((address, _), _)| address).collect();
    (found.into_iter().flatten().flatten().collect(), never_masters)
}

/// Returns the problems of a replica, or `None` if it never becomes a master by itself.
async fn of_replica(address: &str, replica: &Client, is_cluster: bool) -> Option<Vec<Finding>> {
    // It is no obstacle here that it is a replica, or a server of a cluster.
    match replica.check().await {
        Ok(()) | Err(Obstacle::Replica | Obstacle::Cluster) => {}
        Err(obstacle) => return Some(vec![of_obstacle(address, obstacle, is_cluster)]),
    }
    let facts = facts(replica, &SECTIONS).await;
    let node = facts.nodes().next().unwrap_or(Node(""));
    let stays_replica = if is_cluster {
        let setting = replica.call(&[b"CONFIG", b"GET", b"cluster-replica-no-failover"]).await;
        setting.ok().and_then(|setting| texts(setting).ok()?.pop()).is_some_and(|is| is == "yes")
    } else {
        node.number("slave_priority") == Some(0)
    };
    if stays_replica {
        return None;
    }
    let found = [eviction, persistence, sync_policy, saving].map(|check| check(node));
    let found = found.into_iter().flatten();
    let mut problems: Vec<_> = found.filter(|found| found.severity == Severity::Problem).collect();
    for problem in &mut problems {
        problem.what =
            format!("on the replica {address}, which may become the master: {}", problem.what);
    }
    Some(problems)
}

/// Returns the finding about a replica that cannot be used.
fn of_obstacle(address: &str, obstacle: Obstacle, is_cluster: bool) -> Finding {
    match obstacle {
        // As a master, it would have the same obstacle.
        Obstacle::LoginRequired
        | Obstacle::WrongLogin
        | Obstacle::LoginNotNeeded
        | Obstacle::NoPermission
        | Obstacle::NoSuchDatabase => {
            let setting = match is_cluster {
                true => "cluster-replica-no-failover is yes",
                false => "replica-priority is 0",
            };
            Finding::problem(
                format!(
                    "the replica {address} cannot be used: {obstacle}. It may become the master unless its {setting}"
                ),
                "give it the users, passwords and databases of its master: replicas do not copy them",
            )
        }
        // Its own address may be one that no service uses.
        _ => Finding::warning(
            format!("the replica {address} cannot be examined: {obstacle}"),
            "make it reachable from here, or compare its settings with those of its master by hand",
        ),
    }
}

/// Whether a replica can take the place of a master.
pub(super) fn successor(node: Node<'_>) -> Option<Finding> {
    Some(match node.number("connected_slaves")? {
        0 => Finding::warning(
            "a master has no replica that could take its place",
            "start one: `redis-cli REPLICAOF HOST PORT`, or `redis-cli --cluster add-node` with `--cluster-slave`",
        ),
        _ => Finding::fine("a master has a replica that can take its place"),
    })
}

/// Returns whether each master has as many replicas as have to confirm a change.
pub(super) fn connected(info: &Info, wanted: u32) -> Finding {
    let masters = info.nodes().filter(|node| node.field("role") == Some("master"));
    let least = masters.filter_map(|node| node.number("connected_slaves")).min().unwrap_or(0);
    if least >= u64::from(wanted) {
        return Finding::fine(format!(
            "a master has {least} replicas, and --wait-replicas is {wanted}"
        ));
    }
    Finding::problem(
        format!(
            "a master has {least} replicas, and --wait-replicas is {wanted}: changes are refused"
        ),
        "start the missing replicas, or lower --wait-replicas",
    )
}

/// Returns a finding if a master may confirm a change because of replicas that never become the master, while the next
/// master does not have it. A master without any other replica has no next master.
pub(super) fn counted(info: &Info, wanted: u32, never_masters: &[String]) -> Option<Finding> {
    let masters = info.nodes().filter(|node| node.field("role") == Some("master"));
    let masters: Vec<Vec<String>> = masters.map(addresses).collect();
    let mut never_counted = Vec::new();
    for replicas in masters.iter().filter(|replicas| replicas.len() > wanted as usize) {
        let (never, others): (Vec<_>, Vec<_>) =
            replicas.iter().partition(|replica| never_masters.contains(replica));
        if !others.is_empty() {
            never_counted.extend(never.into_iter().cloned());
        }
    }
    if never_counted.is_empty() {
        return None;
    }
    let (least, most) = (masters.iter().map(Vec::len).min()?, masters.iter().map(Vec::len).max()?);
    let advice = if least == most {
        format!(
            "set --wait-replicas to the number of all replicas of a master ({most}); then changes are refused while one \
             of them is missing"
        )
    } else {
        "let these replicas become masters, or give each master the same number of replicas and set --wait-replicas to it"
            .to_owned()
    };
    Some(Finding::warning(
        format!(
            "for --wait-replicas {wanted}, Redis also counts replicas that never become the master ({}): the next \
             master may lack what was confirmed",
            never_counted.join(", ")
        ),
        advice,
    ))
}

/// Returns the addresses of a master's replicas, from lines such as `slave0:ip=10.0.0.2,port=6379,state=online`.
fn addresses(master: Node<'_>) -> Vec<String> {
    let address = |number| {
        let replica = master.field(&format!("slave{number}"))?;
        let field = |name| replica.split(',').find_map(|field| field.strip_prefix(name));
        Some(format!("{}:{}", field("ip=")?, field("port=")?))
    };
    (0..).map_while(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of a replica is the one that it announces, and may be one that no service uses.
    #[test]
    fn only_a_login_that_a_replica_refuses_is_a_problem() {
        for (obstacle, severity) in [
            (Obstacle::LoginRequired, Severity::Problem),
            (Obstacle::WrongLogin, Severity::Problem),
            (Obstacle::NoPermission, Severity::Problem),
            (Obstacle::Certificate, Severity::Warning),
            (Obstacle::PlainPort, Severity::Warning),
            (Obstacle::NotRedis, Severity::Warning),
            (Obstacle::ProtectedMode, Severity::Warning),
            (Obstacle::TimedOut, Severity::Warning),
        ] {
            assert_eq!(of_obstacle("a:1", obstacle, false).severity, severity, "{obstacle}");
        }
        let found = of_obstacle("a:1", Obstacle::LoginRequired, true).what;
        assert!(found.ends_with("unless its cluster-replica-no-failover is yes"), "{found}");
    }

    #[test]
    fn each_master_counts_its_own_replicas() {
        let master = |replicas: &[u16]| {
            let mut section = "role:master\r\n".to_owned();
            for (number, port) in replicas.iter().enumerate() {
                section += &format!("slave{number}:ip=::1,port={port},state=online,offset=1\r\n");
            }
            section
        };
        let never =
            |ports: &[u16]| ports.iter().map(|port| format!("::1:{port}")).collect::<Vec<_>>();
        for (masters, wanted, never_masters, counted) in [
            (vec![master(&[1, 2]), master(&[3, 4])], 1, never(&[]), None),
            (vec![master(&[1, 2]), master(&[3, 4])], 1, never(&[2]), Some("::1:2")),
            (vec![master(&[1, 2]), master(&[3, 4])], 2, never(&[2]), None),
            // No replica of the second master takes its place.
            (vec![master(&[1, 2]), master(&[3, 4])], 1, never(&[3, 4]), None),
            (vec![master(&[1, 2]), master(&[3, 4])], 1, never(&[1, 3, 4]), Some("::1:1")),
            // The second master needs all of its replicas.
            (vec![master(&[1, 2, 3]), master(&[4, 5])], 2, never(&[4]), None),
            (vec![master(&[1, 2, 3]), master(&[4, 5])], 2, never(&[3, 4]), Some("::1:3")),
        ] {
            let found = super::counted(&Info::of(masters), wanted, &never_masters);
            let named = found.as_ref().map(|found| {
                found.what.split_once('(').and_then(|(_, rest)| rest.split_once(')')).unwrap().0
            });
            assert_eq!(named, counted, "{wanted} {never_masters:?}");
        }
    }
}
