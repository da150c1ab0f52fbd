//! Notifications of changed keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis_link::{Heartbeat, Obstacle, Reply, Tracked, hash_slot};
use testkit::{RedisCluster, RedisServer, until};
use tokio::sync::mpsc;

use crate::commands::patient;

#[derive(Debug, PartialEq)]
enum Notification {
    Changed(String),
    Lost,
    Current,
}

fn notification(tracked: &Tracked<'_>) -> Notification {
    match tracked {
        Tracked::Changed(key) => Notification::Changed(String::from_utf8_lossy(key).into_owned()),
        Tracked::Current(_) => Notification::Current,
        _ => Notification::Lost,
    }
}

/// Returns the next notification that is not a heartbeat.
async fn next(queue: &mut mpsc::UnboundedReceiver<Notification>) -> Notification {
    loop {
        match queue.recv().await.unwrap() {
            Notification::Current => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn each_change_under_the_prefix_is_notified() {
    let server = RedisServer::start();
    let client = patient(&server.url());
    let (sender, mut queue) = mpsc::unbounded_channel();
    let tracking = client.clone();
    let task = tokio::spawn(async move {
        let notify = move |tracked: Tracked<'_>| drop(sender.send(notification(&tracked)));
        tracking.track("app:", Duration::from_millis(5), notify).await
    });
    while queue.recv().await.unwrap() != Notification::Current {}
    client.call(&[b"SET", b"other:1", b"x"]).await.unwrap();
    client.call(&[b"SET", b"app:1", b"x"]).await.unwrap();
    assert_eq!(next(&mut queue).await, Notification::Changed("app:1".to_owned()));
    client.call(&[b"FLUSHALL"]).await.unwrap();
    assert_eq!(next(&mut queue).await, Notification::Lost);
    client.call(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]).await.unwrap();
    assert_eq!(next(&mut queue).await, Notification::Lost);
    // The replacement connection notifies, too.
    while queue.recv().await.unwrap() != Notification::Current {}
    client.call(&[b"DEL", b"app:1"]).await.unwrap();
    client.call(&[b"SET", b"app:2", b"x"]).await.unwrap();
    // The old connection may be reported again when its task ends.
    let changed = loop {
        match next(&mut queue).await {
            Notification::Lost => {}
            other => break other,
        }
    };
    assert_eq!(changed, Notification::Changed("app:2".to_owned()));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    while queue.recv().await.is_some() {}
}

#[tokio::test]
async fn each_primary_of_a_cluster_is_followed_with_its_slots() {
    let cluster = RedisCluster::start(2);
    let client = patient(&cluster.url());
    let (sender, mut changed) = mpsc::unbounded_channel();
    let heartbeats = Arc::new(Mutex::new(BTreeMap::<u64, Heartbeat>::new()));
    let (tracking, answered) = (client.clone(), Arc::clone(&heartbeats));
    tokio::spawn(async move {
        let notify = move |tracked: Tracked<'_>| match tracked {
            Tracked::Changed(key) => drop(sender.send(String::from_utf8_lossy(key).into_owned())),
            Tracked::Current(heartbeat) => {
                answered.lock().unwrap().insert(heartbeat.source, heartbeat.clone());
            }
            Tracked::Lost { source, .. } => drop(answered.lock().unwrap().remove(&source)),
            _ => {}
        };
        tracking.track("app:", Duration::from_millis(5), notify).await
    });
    let of = |slot| {
        let heartbeats = heartbeats.lock().unwrap();
        let found: Vec<_> = heartbeats.values().filter(|one| one.slots.contains(slot)).collect();
        <[_; 1]>::try_from(found).ok().map(|[one]| one.clone())
    };
    let keys = ["app:3", "app:1"];
    let slots = keys.map(hash_slot);
    assert!(slots[0] < 8192 && slots[1] >= 8192, "{slots:?}");
    until("both are followed", async || slots.iter().all(|slot| of(*slot).is_some())).await;
    for (key, other) in keys.iter().zip(slots.iter().rev()) {
        client.call(&[b"SET", key.as_bytes(), b"x"]).await.unwrap();
        assert_eq!(changed.recv().await.unwrap(), *key);
        let read: &[&[u8]] = &[b"GET", key.as_bytes()];
        let right = of(hash_slot(key)).unwrap().reader.unwrap();
        assert_eq!(right.call(read).await.unwrap(), Reply::Bytes("x".into()));
        let refused = of(*other).unwrap().reader.unwrap().call(read).await.unwrap_err();
        assert_eq!(refused.obstacle(), Some(Obstacle::ClusterDown));
        assert!(!refused.is_logged(), "it is no outage");
    }
    // The first primary keeps its connection, and the other one, which gains a slot, has a new epoch.
    let before = slots.map(|slot| of(slot).unwrap());
    cluster.move_slot(slots[0], 0, 1);
    let has_moved =
        |moved: &Heartbeat| moved.epoch != before[1].epoch || moved.slots.contains(slots[0]);
    until("the slot has moved", async || {
        of(slots[0]).is_some_and(|owner| owner.source != before[0].source && has_moved(&owner))
    })
    .await;
    let first = of(0).unwrap();
    assert_eq!(first.source, before[0].source);
    assert!(!first.slots.contains(slots[0]));
    assert_eq!(changed.recv().await.unwrap(), keys[0], "MIGRATE deletes the key");
}
