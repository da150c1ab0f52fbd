//! The conformance suite on a cluster whose partitions, accounts and locations are on different nodes.

use std::sync::Arc;

use futures_util::future::join_all;
use redis_link::{Client, hash_slot, redis};
use testkit::RedisCluster;

use super::RedisStorage;
use super::tests::patient;
use checkin_storage::conformance::{StoreUnderTest, checks, new_checkin};
use checkin_storage::{Accepted, Admission, Log};

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
    let storage = Arc::new(RedisStorage::new(cluster.clone(), prefix, 3));
    // The server uses its own clock for the times to live, and a test cannot change that clock.
    let advance = Box::new(|time| Box::pin(tokio::time::sleep(time)) as _);
    StoreUnderTest { storage, advance }
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
