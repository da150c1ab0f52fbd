//! Fail-over, replicas, and slots that move.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis_link::{
    Client, Error, ErrorKind, Observed, Obstacle, Reply, Script, Timeouts, Tracked, hash_slot,
    redis,
};
use testkit::{PATIENCE, RedisCluster, RedisServer, Sentinel, wait_until};

use crate::commands::patient;

/// For a test that waits until something times out. Nothing else takes so long on a busy machine.
const SOON: Timeouts =
    Timeouts { connect: Duration::from_secs(2), response: Duration::from_secs(2) };

/// How long replicas may take to acknowledge a write.
const WITHIN: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_goes_to_a_master_that_the_sentinels_are_replacing() {
    let sentinel = Sentinel::start();
    // A write must fail only because of the fail-over.
    let client = patient(&sentinel.url());
    let write = async |number: usize| {
        client.call(&[b"SADD", b"written", number.to_string().as_bytes()]).await
    };
    for number in 0..100 {
        write(number).await.unwrap();
    }
    let (lost, mut tracked) = tokio::sync::mpsc::unbounded_channel();
    let tracking = client.clone();
    tokio::spawn(async move {
        let notify = move |tracked: Tracked<'_>| {
            if matches!(tracked, Tracked::Lost { .. }) {
                let _ = lost.send(());
            }
        };
        tracking.track("app:", Duration::from_millis(20), notify).await
    });
    // When it is connected.
    tracked.recv().await;
    let writes = client.replicated(0, WITHIN).unwrap();
    let topology = writes.topology().await.unwrap();
    writes.everywhere(&topology, "app").await.unwrap();
    sentinel.fail_over();
    // The old master would accept writes for ten seconds more.
    let (mut acknowledged, mut failures, mut after) = (100, 0, 0);
    let started = Instant::now();
    while after < 50 && started.elapsed() < PATIENCE {
        match write(acknowledged).await {
            Ok(_) => {
                acknowledged += 1;
                after += usize::from(failures > 0);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                failures += 1;
                // Fails at once, so this loop would be a busy one.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    let mut replica = sentinel.replica().connection();
    let written: usize = redis::cmd("SCARD").arg("written").query(&mut replica).unwrap();
    assert_eq!(written, acknowledged);
    // What was written to the old master before may be missing on the new one.
    let error = writes.everywhere(&topology, "app").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.obstacle()),
        (ErrorKind::Unavailable, Some(Obstacle::MasterDown))
    );
    let topology = writes.topology().await.unwrap();
    writes.everywhere(&topology, "app").await.unwrap();
    tracked.recv().await.unwrap();
}

/// An operator makes the sentinels monitor another server under the same name. Their epochs begin again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_the_sentinels_no_longer_monitor_is_given_up() {
    let sentinel = Sentinel::start_with(1, 3);
    let client = Client::open(&sentinel.url()).unwrap();
    let write = async || client.call(&[b"SET", b"key", b"value"]).await.is_ok();
    testkit::until("the client has connected", write).await;
    sentinel.fail_over();
    sentinel.wait_for_failover();
    testkit::until("the client has followed", write).await;
    let other = RedisServer::start();
    sentinel.monitor(&other);
    testkit::until("the client follows the sentinels", async || {
        write().await && redis::cmd("EXISTS").arg("key").query(&mut other.connection()).unwrap()
    })
    .await;
}

/// A sentinel that is cut off from the others names a master that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentinel_that_names_an_old_master_does_no_harm() {
    let sentinel = Sentinel::start();
    sentinel.fail_over();
    sentinel.wait_for_failover();
    let mut stale = Sentinel::start_with(0, 1);
    stale.master().kill();
    let url = format!("redis-sentinel://{},{}/m", stale.addresses(), sentinel.addresses());
    let client = Client::open(&url).unwrap();
    // Until the sentinel has the epoch of its fail-over, both name their masters with the same one.
    let write = async || client.call(&[b"SET", b"key", b"value"]).await.is_ok();
    testkit::until("the fail-over has ended", async || {
        client.check().await.is_ok() && write().await
    })
    .await;
}

/// A program that starts would end for good, and not wait for the master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_master_that_needs_a_password_hides_no_outage_of_the_master() {
    let sentinel = Sentinel::start();
    sentinel.fail_over();
    sentinel.wait_for_failover();
    let watcher = redis::Client::open(format!("redis://{}", sentinel.addresses())).unwrap();
    wait_until("the sentinel has the epoch of its fail-over", || {
        let mut facts = redis::cmd("SENTINEL");
        let facts = facts.arg("MASTER").arg("m").query(&mut watcher.get_connection().unwrap());
        let facts: std::collections::HashMap<String, String> = facts.unwrap();
        facts["config-epoch"] != "0"
    });
    let mut stale = Sentinel::start_with(0, 1);
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("secret").exec(&mut stale.master().connection()).unwrap();
    let url = format!("redis-sentinel://{},{}/m", stale.addresses(), sentinel.addresses());
    let client = Client::open(&url).unwrap();
    let check = async || client.check().await;
    testkit::until("the fail-over has ended", async || check().await.is_ok()).await;
    sentinel.replica().pause();
    let checked = check().await;
    assert!(!checked.is_err_and(Obstacle::is_lasting), "{checked:?}");
    sentinel.replica().resume();
}

fn ok() -> Reply {
    Reply::Bytes("OK".into())
}

#[tokio::test]
async fn a_replicated_write_needs_its_replicas_even_if_nothing_is_left_to_write() {
    let primary = RedisServer::start();
    let replica =
        RedisServer::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    wait_until("the replica follows", || {
        let info: String = redis::cmd("INFO").query(&mut replica.connection()).unwrap_or_default();
        info.contains("master_link_status:up")
    });
    let client = patient(&primary.url());
    let first = client.replicated(1, Duration::from_secs(5)).unwrap();
    let once = Script::new("return redis.call('SET', KEYS[1], ARGV[1], 'NX')");
    let stored = first.run(&once, &[b"key"], &[b"value"]).await.unwrap();
    assert_eq!(stored, ok());
    let replies = first.pipeline(&[&[b"SET", b"a", b"1"], &[b"GET", b"a"]]).await.unwrap();
    assert_eq!(replies, [ok(), Reply::Bytes("1".into())]);

    replica.pause();
    let impatient = client.replicated(1, WITHIN).unwrap();
    let error = impatient.run(&once, &[b"other"], &[b"value"]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.obstacle()),
        (ErrorKind::Unavailable, Some(Obstacle::TooFewReplicas))
    );
    // It is on the primary, so a repetition finds it there, over any connection.
    for writes in [impatient, client.replicated(1, WITHIN).unwrap()] {
        let error = writes.run(&once, &[b"other"], &[b"value"]).await.unwrap_err();
        assert_eq!(error.obstacle(), Some(Obstacle::TooFewReplicas));
    }
    replica.resume();
    assert_eq!(first.run(&once, &[b"other"], &[b"value"]).await.unwrap(), Reply::Nil);
}

#[tokio::test]
async fn on_a_cluster_the_replicas_of_the_keys_primary_count() {
    let cluster = RedisCluster::with_replicas(2);
    let client = patient(&cluster.url());
    let writes = client.replicated(1, WITHIN).unwrap();
    cluster.replicas()[1].pause();
    let is_served = |key: &str| hash_slot(key) < 8192;
    let set = Script::new("return redis.call('SET', KEYS[1], '1')");
    for key in ["a", "b", "c", "d", "e", "f"] {
        let written = writes.run(&set, &[key.as_bytes()], &[]).await;
        assert_eq!(written.is_ok(), is_served(key), "{key}: {written:?}");
    }
    cluster.replicas()[1].resume();
}

/// As it is when the servers of a cluster are replaced one after the other.
#[tokio::test]
async fn a_cluster_stays_in_use_when_the_only_named_node_is_gone() {
    let mut cluster = RedisCluster::with_replicas(3);
    let client = patient(&format!("redis-cluster://{}", cluster.servers()[0].address()));
    let write = async || {
        for key in ["a", "b", "c", "d", "e", "f"] {
            if client.call(&[b"SET", key.as_bytes(), b"1"]).await.is_err() {
                return false;
            }
        }
        true
    };
    assert!(write().await);
    wait_until("all servers know the replicas", || {
        cluster.servers().iter().chain(cluster.replicas()).all(|server| {
            let nodes = redis::cmd("CLUSTER").arg("NODES").query(&mut server.connection());
            nodes.is_ok_and(|nodes: String| nodes.matches("slave ").count() == 3)
        })
    });
    cluster.server_mut(0).kill();
    testkit::until("the replica has the slots", write).await;
    for server in cluster.servers()[1..].iter().chain(cluster.replicas()) {
        let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").clone();
        kill.exec(&mut server.connection()).unwrap();
    }
    testkit::until("the connections are replaced", write).await;
}

/// As it is when a host is cut off from the others, and another one has its slots.
#[tokio::test]
async fn a_cluster_is_found_although_one_of_its_nodes_does_not_respond() {
    let cluster = RedisCluster::start(1);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{},{}", cluster.url(), silent.local_addr().unwrap());
    let client = Client::open(&url).unwrap();
    testkit::until("the client connects", async || client.call(&[b"GET", b"key"]).await.is_ok())
        .await;
    // Connecting takes longer than a command may. The check waits for it, so that a program that sends
    // a command once finds the connection.
    let timeouts = Timeouts { connect: Duration::from_secs(4), response: Duration::from_secs(3) };
    let client = Client::with_timeouts(&url, timeouts).unwrap();
    client.check().await.unwrap();
    assert_eq!(client.call(&[b"GET", b"key"]).await.unwrap(), Reply::Nil);
}

/// A suspended server accepts connections and answers nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_nodes_answer_while_a_connection_is_opened_because_one_does_not() {
    let cluster = RedisCluster::start(2);
    cluster.suspect_nobody();
    let node_of = |key: &str| cluster.owner(hash_slot(key));
    let keys = ["a", "b", "c", "d", "e", "f"];
    let [of_lost, of_other] =
        [0, 1].map(|node| keys.iter().find(|key| node_of(key) == node).unwrap().as_bytes());
    // Opening a connection takes as long as a node may take to accept one.
    let timeouts = Timeouts { connect: PATIENCE, response: Duration::from_secs(2) };
    let client = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    client.check().await.unwrap();
    cluster.servers()[0].pause();
    let lost = client.call(&[b"GET", of_lost]).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Unavailable);
    for _ in 0..3 {
        assert_eq!(client.call(&[b"GET", of_other]).await.unwrap(), Reply::Nil);
    }
    cluster.servers()[0].resume();
    let answers = async || client.call(&[b"GET", of_lost]).await.is_ok();
    testkit::until("the node responds again", answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_answer_for_long_delays_no_other_one() {
    let cluster = RedisCluster::start(2);
    cluster.suspect_nobody();
    let keys = ["a", "b", "c", "d", "e", "f"];
    let of = |node| *keys.iter().find(|key| cluster.owner(hash_slot(key)) == node).unwrap();
    let [of_lost, of_other] = [0, 1].map(of);
    let timeouts =
        Timeouts { connect: Duration::from_secs(4), response: Duration::from_millis(2500) };
    let client = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    client.check().await.unwrap();
    cluster.servers()[0].pause();
    // A program that starts meanwhile.
    let late = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    late.check().await.unwrap();
    let mut asks = tokio::task::JoinSet::new();
    for client in [client.clone(), late.clone()] {
        asks.spawn(async move {
            while client.call(&[b"GET", of_lost.as_bytes()]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    let began = Instant::now();
    // Long enough for several attempts to reach the node.
    while began.elapsed() < Duration::from_secs(12) {
        for client in [&client, &late] {
            assert_eq!(client.call(&[b"GET", of_other.as_bytes()]).await.unwrap(), Reply::Nil);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.servers()[0].resume();
    let asks = tokio::time::timeout(PATIENCE, asks.join_all());
    asks.await.expect("the node answers again");
}

#[tokio::test]
async fn a_missing_node_is_reached_again_although_no_command_asks_for_it() {
    let cluster = RedisCluster::start(2);
    cluster.suspect_nobody();
    cluster.servers()[0].pause();
    let client = Client::with_timeouts(&cluster.url(), SOON).unwrap();
    let key = ["a", "b", "c", "d"].into_iter().find(|key| cluster.owner(hash_slot(key)) == 0);
    let read = async || client.call(&[b"GET", key.unwrap().as_bytes()]).await;
    let is_missing = async || {
        let answer = read().await;
        answer.is_err_and(|error| error.obstacle() == Some(Obstacle::ClusterDown))
    };
    testkit::until("the node is known to be missing", is_missing).await;
    cluster.servers()[0].resume();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(read().await.unwrap(), Reply::Nil);
}

/// The task that reaches a missing node ends with the runtime that it runs in.
#[test]
fn a_missing_node_is_reached_again_in_another_runtime() {
    let cluster = RedisCluster::start(2);
    cluster.suspect_nobody();
    let key = ["a", "b", "c", "d"].into_iter().find(|key| cluster.owner(hash_slot(key)) == 0);
    let client = Client::open(&cluster.url()).unwrap();
    let read = async || client.call(&[b"GET", key.unwrap().as_bytes()]).await;
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    cluster.servers()[0].pause();
    runtime().block_on(testkit::until("the node is known to be missing", async || {
        read().await.is_err_and(|error| error.obstacle() == Some(Obstacle::ClusterDown))
    }));
    cluster.servers()[0].resume();
    runtime().block_on(testkit::until("the node answers", async || read().await.is_ok()));
}

/// Nodes tell which slots they have by `CLUSTER NODES`, which a login may not be allowed.
#[tokio::test]
async fn a_cluster_is_reached_again_by_a_login_that_may_not_ask_for_the_nodes() {
    let cluster = RedisCluster::start(2);
    for server in cluster.servers() {
        let words =
            ["SETUSER", "app", "on", ">pass", "~*", "&*", "+@all", "-cluster", "+cluster|slots"];
        redis::cmd("ACL").arg(&words).exec(&mut server.connection()).unwrap();
    }
    let url = cluster.url().replace("redis-cluster://", "redis-cluster://app:pass@");
    let client = Client::with_timeouts(&url, SOON).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    client.observe(move |observed| {
        if matches!(observed, Observed::Connected) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let reads = async || {
        for key in ["a", "b", "c", "d", "e", "f"] {
            if client.call(&[b"GET", key.as_bytes()]).await.is_err() {
                return false;
            }
        }
        true
    };
    testkit::until("the cluster answers", reads).await;
    cluster.servers()[0].pause();
    assert!(!reads().await);
    cluster.servers()[0].resume();
    testkit::until("all nodes answer again", reads).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = connections.load(Ordering::Relaxed);
    assert!(reads().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connections.load(Ordering::Relaxed), before, "the connection stays");
}

/// A node that is slow, or waits for its replicas, delays no other one.
#[tokio::test]
async fn a_command_for_each_node_is_sent_to_all_at_once() {
    let cluster = RedisCluster::start(3);
    let client = patient(&cluster.url());
    client.check().await.unwrap();
    let begin = Instant::now();
    let replies = client.call_each(&[b"WAIT", b"1", b"2000"]).await.unwrap();
    let took = begin.elapsed();
    let addresses = cluster.servers().iter().map(RedisServer::address);
    let expected: BTreeMap<String, Reply> =
        addresses.map(|address| (address, Reply::Int(0))).collect();
    let replies: Vec<_> =
        replies.into_iter().map(|(address, reply)| (address, reply.unwrap())).collect();
    assert_eq!(replies, expected.into_iter().collect::<Vec<_>>());
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_primary_that_does_not_answer_hides_no_reply_of_the_others() {
    let cluster = RedisCluster::with_replicas(3);
    cluster.suspect_nobody();
    let limit = Duration::from_millis(300);
    let timeouts = Timeouts { connect: limit, response: limit };
    let client = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    let silent = &cluster.servers()[1];
    silent.pause();
    testkit::until("the others are asked", async || {
        let replies = client.call_each(&[b"PING"]).await.unwrap_or_default();
        let is_as_expected = |(address, reply): &(String, Result<Reply, Error>)| match reply {
            Ok(reply) => *address != silent.address() && *reply == Reply::Bytes("PONG".into()),
            Err(error) => *address == silent.address() && error.kind() == ErrorKind::Unavailable,
        };
        replies.len() == 3 && replies.iter().all(is_as_expected)
    })
    .await;
    testkit::until("their replicas are known", async || {
        client.replicas().await.is_ok_and(|replicas| replicas.len() == 2)
    })
    .await;
    silent.resume();
}

/// The client would send it again for longer.
#[tokio::test]
async fn a_command_that_is_sent_to_other_nodes_has_the_time_of_a_command() {
    let cluster = RedisCluster::start(2);
    let patient = patient(&cluster.url());
    patient.pipeline(&[&[b"SET", b"{a}moved", b"1"], &[b"SET", b"{a}stays", b"2"]]).await.unwrap();
    let (from, to) = if hash_slot("a") < 8192 { (0, 1) } else { (1, 0) };
    cluster.begin_move(hash_slot("a"), from, to, &["{a}moved"]);
    let timeouts = Timeouts { connect: PATIENCE, response: Duration::from_millis(50) };
    let client = Client::with_timeouts(&cluster.url(), timeouts).unwrap();
    testkit::until("it is connected", async || client.call(&[b"GET", b"{a}stays"]).await.is_ok())
        .await;
    let error = client.call(&[b"MGET", b"{a}moved", b"{a}stays"]).await.unwrap_err();
    assert_eq!(error.obstacle(), Some(Obstacle::TimedOut));
}

#[tokio::test]
async fn commands_follow_the_keys_of_a_slot_that_moves() {
    let cluster = RedisCluster::start(2);
    let client = patient(&cluster.url());
    client.pipeline(&[&[b"SET", b"{a}moved", b"1"], &[b"SET", b"{a}stays", b"2"]]).await.unwrap();
    let slot = hash_slot("a");
    let (from, to) = if slot < 8192 { (0, 1) } else { (1, 0) };
    cluster.begin_move(slot, from, to, &["{a}moved"]);
    for (key, value) in [(&b"{a}moved"[..], "1"), (b"{a}stays", "2")] {
        let found = client.call(&[b"GET", key]).await.unwrap();
        assert_eq!(found, Reply::Bytes(value.into()));
    }
    // A new key belongs to the new owner.
    client.call(&[b"SET", b"{a}new", b"3"]).await.unwrap();
    let both = client.pipeline(&[&[b"INCR", b"{a}moved"], &[b"INCR", b"{a}new"]]).await.unwrap();
    assert_eq!(both, [Reply::Int(2), Reply::Int(4)]);
    // Neither has all keys: the command can be carried out when the move has ended.
    let error = client.call(&[b"MGET", b"{a}moved", b"{a}stays"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Several commands are carried out together or not at all.
    let halves: &[&[&[u8]]] = &[&[b"INCR", b"{a}stays"], &[b"GET", b"{a}moved"]];
    let error = client.pipeline(halves).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(client.call(&[b"GET", b"{a}stays"]).await.unwrap(), Reply::Bytes("2".into()));
}
