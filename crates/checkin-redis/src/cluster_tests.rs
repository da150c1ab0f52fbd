//! The conformance suite on a cluster of one node, which refuses commands across slots as every
//! cluster does.

use std::sync::Arc;

use redis_link::Client;
use testkit::{RedisServer, until};

use super::RedisStorage;
use super::tests::patient;
use checkin_storage::conformance::{StoreUnderTest, checks};

const SLOTS: u32 = 16_384;

/// Runs the checks one after the other on one node, because a node takes two seconds to start. Each
/// check has its own prefix.
macro_rules! in_turn {
    ($cluster:expr; $($check:ident)*) => {
        $(checkin_storage::conformance::$check(subject(&$cluster, stringify!($check))).await;)*
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_serves_as_well_as_one_server() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--appendonly", "yes"]);
    form_cluster(&server).await;
    let cluster = format!("redis-cluster://127.0.0.1:{}", server.port());
    let cluster = patient(&cluster);
    checks!(in_turn: cluster);
}

fn subject(cluster: &Client, prefix: &str) -> StoreUnderTest {
    let storage = Arc::new(RedisStorage::new(cluster.clone(), prefix, 3));
    // The server uses its own clock for the times to live, and a test cannot change that clock.
    let advance = Box::new(|time| Box::pin(tokio::time::sleep(time)) as _);
    StoreUnderTest { storage, advance }
}

/// Assigns all slots to the node, and waits until the cluster is ready.
async fn form_cluster(server: &RedisServer) {
    let node = RedisStorage::new(patient(&server.url()), "ncc", 1);
    let slots: Vec<String> = (0..SLOTS).map(|slot| slot.to_string()).collect();
    let words: Vec<&str> =
        ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
    node.redis.call(&words).await.unwrap();
    let is_up = async || node.redis.call(&["GET", "ncc:users:last-id"]).await.is_ok();
    until("the cluster is up", is_up).await;
}
