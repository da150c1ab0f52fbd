//! Notifications of changed keys.

use std::time::Duration;

use redis_link::{ErrorKind, Tracked};
use testkit::{RedisCluster, RedisServer};
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
    assert_eq!(next(&mut queue).await, Notification::Changed("app:2".to_owned()));
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    while queue.recv().await.is_some() {}
}

#[tokio::test]
async fn tracking_keys_of_a_cluster_is_unsupported() {
    let cluster = RedisCluster::start(1);
    let client = patient(&cluster.url());
    let error = client.track("", Duration::from_millis(5), |_: Tracked<'_>| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
