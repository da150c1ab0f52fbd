//! The conformance suite on a cluster whose partitions, accounts and locations are on different nodes.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis_link::{Client, Timeouts, hash_slot, redis};
use testkit::RedisCluster;

use super::RedisStorage;
use super::tests::{on_own_clock, patient};
use checkin_storage::conformance::{StoreUnderTest, checks, new_checkin};
use checkin_storage::{
    Accepted, Admission, EventKind, EventList, EventPosition, Log, SecurityEvent, SecurityEvents,
};

/// Runs the checks one after the other on one cluster, because a cluster takes two seconds to start. Each
/// check has its own prefix.
macro_rules! in_turn {
    ($cluster:expr; $($check:ident)*) => {
        $(checkin_storage::conformance::$check(subject(&$cluster, stringify!($check))).await;)*
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_serves_as_well_as_one_server() {
    let servers = RedisCluster::start(3);
    let cluster = patient(&servers.url());
    checks!(in_turn: cluster);
}

fn subject(cluster: &Client, prefix: &str) -> StoreUnderTest {
    on_own_clock(RedisStorage::new(cluster.clone(), prefix, 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_with_many_idempotency_keys_moves_as_a_few_keys() {
    let cluster = RedisCluster::start(2);
    let storage = RedisStorage::new(patient(&cluster.url()), "ncc", 1);
    let append = |key: usize| {
        let (storage, key) = (storage.clone(), key.to_string());
        async move { storage.append(new_checkin(1, 1, 1), Some(&key), Admission::ALL).await }
    };
    let stored = join_all((0..20_000).map(append)).await;
    let slot = hash_slot("ncc:checkins");
    let from = cluster.owner(slot);
    let mut count = redis::cmd("CLUSTER");
    let count = count.arg("COUNTKEYSINSLOT").arg(slot);
    let keys: u64 = count.query(&mut cluster.servers()[from].connection()).unwrap();
    assert!(keys < 300, "{keys}");
    cluster.move_slot(slot, from, 1 - from);
    let again = join_all((0..20_000).step_by(100).map(append)).await;
    for (first, again) in stored.into_iter().step_by(100).zip(again) {
        let Accepted::Stored(id) = first.unwrap() else { panic!("not stored") };
        assert_eq!(again.unwrap(), Accepted::Replayed(id));
    }
}

/// A login would otherwise wait for a node that has other lists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_an_event_waits_for_the_node_of_its_list_only() {
    let cluster = RedisCluster::start(3);
    cluster.suspect_nobody();
    let timeouts = Timeouts { connect: Duration::from_secs(20), response: Duration::from_secs(3) };
    let client = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    let storage = RedisStorage::new(client, "ncc", 1);
    let (kind, source) = (EventKind::RoleChanged, "auth".to_owned());
    let event = SecurityEvent { kind, account: None, address: None, source, detail: None };
    let owner = |list| cluster.owner(hash_slot(&storage.redis.keys.security_events(list)));
    for list in EventList::ALL {
        storage.record_event(list, &event, 10).await.unwrap();
    }
    // The time is that of the node of the log.
    let log = cluster.owner(hash_slot("ncc:checkins"));
    let gone = EventList::ALL.map(owner).into_iter().find(|node| *node != log).unwrap();
    let others: Vec<_> = EventList::ALL.into_iter().filter(|list| owner(*list) != gone).collect();
    cluster.servers()[gone].pause();
    let begin = Instant::now();
    for list in &others {
        storage.record_event(*list, &event, 10).await.unwrap();
    }
    assert!(begin.elapsed() < timeouts.response, "{:?}", begin.elapsed());
    tokio::time::sleep(Duration::from_millis(5)).await;
    // What can be removed meanwhile is, and the failure is not hidden.
    assert!(storage.remove_old_events(Duration::ZERO).await.is_err());
    cluster.servers()[gone].resume();
    let count = async |list| {
        storage.security_events(list, EventPosition::before(0), 10).await.unwrap().len()
    };
    for list in others {
        assert_eq!(count(list).await, 0);
    }
}
