//! The findings of `checkin doctor` about the settings and the state of the servers.
//!
//! They use `INFO` as far as it tells, because `CONFIG` is often forbidden. Each names the command that repairs it;
//! `CONFIG REWRITE` then makes the change permanent.

mod replicas;
mod sentinels;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use checkin_storage::Finding;

use crate::connection::Connection;
use crate::info::{CONFIG_GET, Node, facts, is_cluster};
use crate::reply::{array, text};

/// The part of its memory limit above which a server is nearly full.
const NEARLY_FULL_PERCENT: u64 = 80;

/// The largest difference between two clocks that needs no repair: well below the shortest time that
/// depends on both, the lease of a processor.
const CLOCK_DIFFERENCE_MS: u64 = 2000;

const NO_EVICTION: &str = "`redis-cli CONFIG SET maxmemory-policy noeviction`, and choose a maxmemory that is never reached";

/// The checks of every master, with the command and the field that each needs.
const CHECKS: [(Check, &str, &str); 8] = [
    (eviction, "INFO", "maxmemory_policy"),
    (memory, "INFO", "used_memory"),
    (connections, "INFO", "connected_clients"),
    (idle_connections, CONFIG_GET, "timeout"),
    (persistence, "INFO", "aof_enabled"),
    (sync_policy, CONFIG_GET, "appendfsync"),
    (saving, "INFO", "rdb_last_bgsave_status"),
    (confirmation, "INFO", "role"),
];

/// The sections of `INFO` in which their fields are.
const SECTIONS: [&str; 4] = ["memory", "clients", "persistence", "replication"];

pub(crate) async fn findings(redis: &Connection, wanted: u32) -> Vec<Finding> {
    let facts = facts(&redis.client, &SECTIONS).await;
    // In a cluster, the cluster decides which node is a master.
    let is_cluster = is_cluster(&redis.client).await;
    let sentinels = redis.client.sentinels().await;
    let has_successors = is_cluster || !sentinels.is_empty();
    let others: [Option<(Check, &str, &str)>; 2] = [
        (!is_cluster).then_some((role, "INFO", "role")),
        (has_successors && wanted == 0).then_some((replicas::successor, "INFO", "role")),
    ];
    let mut findings: Vec<Finding> = facts.silent().map(silent).collect();
    let mut unreported = BTreeMap::<_, Vec<&str>>::new();
    for (check, command, field) in CHECKS.into_iter().chain(others.into_iter().flatten()) {
        let checked = |(address, node)| Some((address, check(node)?));
        let found: Vec<_> = facts.addressed_nodes().filter_map(checked).collect();
        match found.is_empty() {
            true => unreported.entry(command).or_default().push(field),
            false => findings.extend(worst(found)),
        }
    }
    let refused = facts.refused().filter(|(command, _)| !unreported.contains_key(command));
    findings.extend(refused.map(|(command, nodes)| refused_by(&nodes, command)));
    findings.extend(unreported.into_iter().map(|(command, mut fields)| {
        fields.dedup();
        match command {
            // It would also tell passwords, so a service's login should not have it.
            CONFIG_GET => Finding::fine(format!(
                "{} were not looked at: this login may not use {CONFIG_GET}",
                fields.join(" and ")
            )),
            _ => not_reported(command, &fields.join(", ")),
        }
    }));
    let has_roles = wanted > 0 && facts.values("role").next().is_some();
    findings.extend(has_roles.then(|| replicas::connected(&facts, wanted)));
    findings.extend(sentinels::findings(sentinels));
    findings.extend(clock_difference(redis).await);
    let (of_replicas, never_masters) = replicas::examined(redis, is_cluster).await;
    findings.extend(of_replicas);
    findings.extend(replicas::counted(&facts, wanted, &never_masters).filter(|_| has_roles));
    findings
}

fn silent(address: &str) -> Finding {
    Finding::problem(
        format!("the node {address} does not answer or refuses the login, and was not looked at"),
        "start it, or see its log, check the network between it and this machine, and give it the users and passwords of \
         the other nodes, which do not copy them; `redis-cli CLUSTER NODES` shows what the other nodes think of it",
    )
}

/// Returns the finding about nodes of a cluster that refuse a command, while others do not.
fn refused_by(nodes: &[&str], command: &str) -> Finding {
    let what = format!("on {}: the login may not use {command}", nodes.join(", "));
    match command {
        CONFIG_GET => Finding::fine(format!("{what}, so the settings were not looked at")),
        _ => Finding::warning(
            format!("{what}, so its state was not looked at"),
            format!("allow the command {command} to this login on all nodes, or check by hand"),
        ),
    }
}

/// A function that makes a finding from what a node reports, or none if it does not report the field.
type Check = fn(Node<'_>) -> Option<Finding>;

/// Returns the findings of the highest severity, each once, with the nodes that it is about unless these are all.
fn worst(found: Vec<(&str, Finding)>) -> Vec<Finding> {
    let (all, highest) = (found.len(), found.iter().map(|(_, finding)| finding.severity).max());
    let mut worst: Vec<(Vec<&str>, Finding)> = Vec::new();
    for (node, finding) in found {
        match worst.iter_mut().find(|(_, known)| known.what == finding.what) {
            _ if Some(finding.severity) != highest => {}
            Some((nodes, _)) => nodes.push(node),
            None => worst.push((vec![node], finding)),
        }
    }
    for (nodes, finding) in worst.iter_mut().filter(|(nodes, _)| nodes.len() < all) {
        finding.what = format!("on {}: {}", nodes.join(", "), finding.what);
    }
    worst.into_iter().map(|(_, finding)| finding).collect()
}

pub(crate) fn not_reported(command: &str, fields: &str) -> Finding {
    Finding::warning(
        format!("Redis does not report its {fields} ({command})"),
        format!("allow the command {command} to this login, or check by hand"),
    )
}

fn eviction(node: Node<'_>) -> Option<Finding> {
    Some(match node.field("maxmemory_policy")? {
        "noeviction" => Finding::fine("Redis evicts nothing when its memory is full (noeviction)"),
        policy if policy.starts_with("volatile") => Finding::problem(
            format!("with {policy}, a full Redis deletes sessions and idempotency keys"),
            NO_EVICTION,
        ),
        policy => Finding::problem(
            format!("with {policy}, a full Redis deletes check-ins, users and locations"),
            NO_EVICTION,
        ),
    })
}

fn memory(node: Node<'_>) -> Option<Finding> {
    let used = node.number("used_memory")?;
    let machine = node.number("total_system_memory").unwrap_or(0);
    let maximum = node.number("maxmemory").unwrap_or(0);
    let is_beyond = 0 < machine && machine < maximum;
    let (limit, whose) = match maximum {
        // Without a limit of its own, the machine's memory is the limit.
        0 => (machine, "of the machine"),
        _ if is_beyond => (machine, "of the machine, which is less than maxmemory"),
        maximum => (maximum, "of maxmemory"),
    };
    if limit == 0 {
        return None;
    }
    let percent = used.saturating_mul(100) / limit;
    let what =
        format!("Redis uses {} of {} MiB {whose} ({percent} %)", mebibytes(used), mebibytes(limit));
    Some(match percent {
        _ if is_beyond => Finding::warning(
            format!("{what}: the system may end Redis before it refuses writes"),
            "`redis-cli CONFIG SET maxmemory BYTES` with at most half of the memory of the machine",
        ),
        100.. => Finding::problem(
            format!("{what}: it refuses writes"),
            "`redis-cli CONFIG SET maxmemory BYTES` with a higher number, or delete what is not needed",
        ),
        NEARLY_FULL_PERCENT.. => Finding::warning(
            what,
            "plan more memory: `redis-cli CONFIG SET maxmemory BYTES`, or a larger machine",
        ),
        _ => Finding::fine(what),
    })
}

fn mebibytes(bytes: u64) -> u64 {
    bytes / (1 << 20)
}

fn connections(node: Node<'_>) -> Option<Finding> {
    let open = node.number("connected_clients")?;
    let most = node.number("maxclients").filter(|most| *most > 0)?;
    let what = format!("Redis has {open} of {most} connections (maxclients)");
    Some(match open.saturating_mul(100) / most {
        NEARLY_FULL_PERCENT.. => Finding::warning(
            format!("{what}, and refuses more than that"),
            "`redis-cli CONFIG SET maxclients NUMBER` with a higher number",
        ),
        _ => Finding::fine(what),
    })
}

fn idle_connections(node: Node<'_>) -> Option<Finding> {
    Some(match node.number("timeout")? {
        0 => Finding::fine("Redis keeps idle connections open"),
        seconds => Finding::warning(
            format!(
                "Redis closes connections that are idle for {seconds} s; a request that is sent meanwhile gets 503"
            ),
            "`redis-cli CONFIG SET timeout 0`",
        ),
    })
}

fn persistence(node: Node<'_>) -> Option<Finding> {
    Some(match node.field("aof_enabled")? {
        "1" => Finding::fine("Redis keeps an append-only file"),
        _ => Finding::problem(
            "Redis keeps no append-only file: acknowledged check-ins are lost when it ends",
            "`redis-cli CONFIG SET appendonly yes`, on each server, and appendfsync everysec or always",
        ),
    })
}

fn sync_policy(node: Node<'_>) -> Option<Finding> {
    let lost = |setting: &str, when: &str| {
        format!("with {setting}, a loss of power{when} loses the check-ins of about the last 30 s")
    };
    Some(match node.field("appendfsync")? {
        "no" => Finding::problem(
            lost("appendfsync no", ""),
            "`redis-cli CONFIG SET appendfsync everysec`, or always, on each server",
        ),
        _ if node.field("no-appendfsync-on-rewrite") == Some("yes") => Finding::problem(
            lost("no-appendfsync-on-rewrite yes", " while Redis rewrites its files"),
            "`redis-cli CONFIG SET no-appendfsync-on-rewrite no`, on each server",
        ),
        _ if node.field("auto-aof-rewrite-percentage") == Some("0") => Finding::warning(
            "Redis never rewrites its append-only file by itself, so the file grows until the disk is full",
            "`redis-cli CONFIG SET auto-aof-rewrite-percentage 100`, on each server, unless something else calls \
             BGREWRITEAOF",
        ),
        policy => Finding::fine(format!("appendfsync is {policy}")),
    })
}

fn saving(node: Node<'_>) -> Option<Finding> {
    let failed = |name: &str| node.field(name) == Some("err");
    node.field("rdb_last_bgsave_status")?;
    Some(if failed("rdb_last_bgsave_status") || failed("aof_last_write_status") {
        Finding::problem(
            "Redis cannot write to its disk, and refuses writes (MISCONF)",
            "make room or repair the disk, see the log of Redis, then `redis-cli BGSAVE`",
        )
    } else if failed("aof_last_bgrewrite_status") {
        Finding::problem(
            "Redis could not rewrite its append-only file, which grows until the disk is full",
            "make room or repair the disk, see the log of Redis, then `redis-cli BGREWRITEAOF`",
        )
    } else {
        Finding::fine("Redis can write to its disk")
    })
}

/// Whether as many replicas keep up as Redis itself needs to accept writes. It counts them only if it needs some.
fn confirmation(node: Node<'_>) -> Option<Finding> {
    node.field("role")?;
    let Some(there) = node.number("min_slaves_good_slaves") else {
        return Some(Finding::fine("Redis accepts writes without replicas"));
    };
    let needed = node.number("min-replicas-to-write").unwrap_or(1);
    Some(match there >= needed {
        true => Finding::fine(format!(
            "{there} replicas keep up, and min-replicas-to-write is {needed}"
        )),
        false => Finding::problem(
            format!(
                "Redis refuses writes: {there} replicas keep up, and min-replicas-to-write is {needed}"
            ),
            format!(
                "start the missing replicas, or `redis-cli CONFIG SET min-replicas-to-write {there}`"
            ),
        ),
    })
}

fn role(node: Node<'_>) -> Option<Finding> {
    Some(match node.field("role")? {
        "master" => Finding::fine("the server is a master"),
        _ => Finding::problem(
            "the server is a replica, and takes no writes",
            "name the master in the store's URL, or the sentinels (redis-sentinel://)",
        ),
    })
}

async fn clock_difference(redis: &Connection) -> Option<Finding> {
    let before = redis.clock.now_ms();
    let times = redis.client.call_each(&[b"TIME"]).await.ok()?;
    let after = redis.clock.now_ms().max(before);
    let times = times.into_iter().filter_map(|(_, time)| {
        let seconds =
            text(array(time.ok()?).ok()?.into_iter().next()?).ok()?.parse::<u64>().ok()?;
        // The whole seconds of Redis differ by up to one from its time.
        Some(seconds * 1000 + 500)
    });
    largest_difference(times, &(before..=after))
}

/// Returns a finding about the server whose clock is furthest from that of this machine, which had these times while the
/// servers were asked.
fn largest_difference(
    times_ms: impl Iterator<Item = u64>,
    own_ms: &RangeInclusive<u64>,
) -> Option<Finding> {
    let difference = |time: u64| time.abs_diff(time.clamp(*own_ms.start(), *own_ms.end()));
    let redis_ms = times_ms.max_by_key(|time| difference(*time))?;
    let difference = difference(redis_ms);
    (difference > CLOCK_DIFFERENCE_MS).then(|| {
        let is = if redis_ms > *own_ms.end() { "ahead of" } else { "behind" };
        Finding::problem(
            format!("the clock of Redis is {} s {is} that of this machine", difference / 1000),
            "synchronise the clocks of both (NTP): timedatectl set-ntp true",
        )
    })
}

/// Returns a finding if entries left the log before they were applied.
pub(crate) fn lost_entries(lost: u64, checkpoint: &str) -> Option<Finding> {
    (lost > 0).then(|| {
        Finding::problem(
            format!("another program removed {lost} entries from the log before they were applied"),
            format!(
                "no XTRIM, XDEL or XADD with MAXLEN may be used on the log (--max-log-length bounds it); \
                 restore the check-ins from a backup or a replica of the log if there is one, and end this \
                 finding with `redis-cli HDEL {checkpoint} lost`. A log that was restored or renamed counts, too"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use checkin_storage::Severity;

    use super::*;

    #[test]
    fn each_state_has_its_severity() {
        let (fine, warning, problem) = (Severity::Fine, Severity::Warning, Severity::Problem);
        for (check, section, severity) in [
            (eviction as Check, "maxmemory_policy:noeviction\r\n", fine),
            (eviction, "maxmemory_policy:volatile-ttl\r\n", problem),
            (eviction, "maxmemory_policy:allkeys-lru\r\n", problem),
            (memory, "used_memory:79\r\nmaxmemory:100\r\n", fine),
            (memory, "used_memory:80\r\nmaxmemory:100\r\n", warning),
            (memory, "used_memory:100\r\nmaxmemory:100\r\n", problem),
            (memory, "used_memory:90\r\nmaxmemory:0\r\ntotal_system_memory:100\r\n", warning),
            (memory, "used_memory:1\r\nmaxmemory:101\r\ntotal_system_memory:100\r\n", warning),
            (memory, "used_memory:1\r\nmaxmemory:100\r\ntotal_system_memory:100\r\n", fine),
            (connections, "connected_clients:79\r\nmaxclients:100\r\n", fine),
            (connections, "connected_clients:80\r\nmaxclients:100\r\n", warning),
            (idle_connections, "timeout:0\r\n", fine),
            (idle_connections, "timeout:300\r\n", warning),
            (sync_policy, "appendfsync:everysec\r\nno-appendfsync-on-rewrite:no\r\n", fine),
            (sync_policy, "appendfsync:everysec\r\n", fine),
            (sync_policy, "appendfsync:everysec\r\nauto-aof-rewrite-percentage:100\r\n", fine),
            (sync_policy, "appendfsync:everysec\r\nauto-aof-rewrite-percentage:0\r\n", warning),
            (sync_policy, "appendfsync:no\r\nauto-aof-rewrite-percentage:0\r\n", problem),
            (sync_policy, "appendfsync:no\r\nno-appendfsync-on-rewrite:no\r\n", problem),
            (sync_policy, "appendfsync:always\r\nno-appendfsync-on-rewrite:yes\r\n", problem),
            (confirmation, "role:master\r\nmin-replicas-to-write:0\r\n", fine),
            (confirmation, "role:master\r\nmin_slaves_good_slaves:0\r\n", problem),
            (
                confirmation,
                "role:master\r\nmin_slaves_good_slaves:1\r\nmin-replicas-to-write:2\r\n",
                problem,
            ),
            (
                confirmation,
                "role:master\r\nmin_slaves_good_slaves:2\r\nmin-replicas-to-write:2\r\n",
                fine,
            ),
            (persistence, "aof_enabled:0\r\n", problem),
            (persistence, "aof_enabled:1\r\n", fine),
            (saving, "rdb_last_bgsave_status:ok\r\naof_last_write_status:ok\r\n", fine),
            (saving, "rdb_last_bgsave_status:err\r\naof_last_write_status:ok\r\n", problem),
            (saving, "rdb_last_bgsave_status:ok\r\naof_last_write_status:err\r\n", problem),
            (saving, "rdb_last_bgsave_status:ok\r\naof_last_bgrewrite_status:err\r\n", problem),
            (role, "role:slave\r\n", problem),
        ] {
            assert_eq!(check(Node(section)).unwrap().severity, severity, "{section}");
        }
        assert_eq!(memory(Node("used_memory:1\r\n")), None);
    }

    #[test]
    fn the_clock_that_differs_most_counts() {
        let within = |times: &[u64], own| largest_difference(times.iter().copied(), &own);
        let found = |times: &[u64]| within(times, 100_000..=100_000);
        assert_eq!(found(&[100_500, 98_000, 102_000]), None);
        // A reply that came early or late has the time of its moment.
        assert_eq!(within(&[98_000, 100_500, 112_000], 100_000..=110_000), None);
        let found = found(&[100_500, 40_500, 110_500]).unwrap();
        assert_eq!(found.what, "the clock of Redis is 59 s behind that of this machine");
    }

    #[test]
    fn the_worst_of_several_nodes_counts_and_is_named_once() {
        let [a, b, on_one, on_two] =
            ["a", "b", "on 2: b", "on 1, 3: a"].map(|what| Finding::problem(what, ""));
        let found = vec![("1", a.clone()), ("2", b), ("3", a.clone()), ("4", Finding::fine("c"))];
        assert_eq!(worst(found), [on_two, on_one]);
        assert_eq!(worst(vec![("1", a.clone()), ("2", a.clone())]), vec![a.clone()]);
        assert_eq!(worst(vec![("", a.clone())]), [a]);
    }
}
