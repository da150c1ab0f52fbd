//! Clients of connections that the program made itself.

use std::time::Duration;

use redis_link::redis::cluster::ClusterClient;
use redis_link::redis::{self, aio::MultiplexedConnection};
use redis_link::{Client, ErrorKind, Obstacle, Reply, Script, Tracked};
use testkit::{RedisCluster, RedisServer};

use crate::commands::all_are_found;

const PATIENCE: Duration = Duration::from_secs(10);

async fn connect(server: &RedisServer) -> MultiplexedConnection {
    let server = redis::Client::open(server.url()).unwrap();
    server.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_connection_of_ones_own_serves() {
    let server = RedisServer::start();
    let client = Client::from_connection(connect(&server).await, PATIENCE);
    client.check().await.unwrap();
    client.call(&[b"SET", b"key", b"value"]).await.unwrap();
    let replies = client.pipeline(&[&[b"GET", b"key"], &[b"DEL", b"key"]]).await.unwrap();
    assert_eq!(replies, [Reply::Bytes("value".into()), Reply::Int(1)]);
    let script = Script::new("return KEYS[1]");
    let answer = client.run(&script, &[b"key"], &[]).await.unwrap();
    assert_eq!(answer, Reply::Bytes("key".into()));
    client.try_write(b"key").await.unwrap();
    all_are_found(&client).await;
}

#[tokio::test]
async fn what_it_lacks_is_named() {
    let server = RedisServer::start();
    let client = Client::from_connection(connect(&server).await, PATIENCE);
    let apart = client.apart().unwrap_err();
    assert_eq!(apart.kind(), ErrorKind::Unsupported);
    let tracking = client.track("", PATIENCE, |_: Tracked<'_>| ()).await.unwrap_err();
    assert_eq!(tracking.kind(), ErrorKind::Unsupported);
    drop(server);
    let away = client.call(&[b"PING"]).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
    assert!(!client.check().await.unwrap_err().is_lasting());
}

#[tokio::test]
async fn a_command_over_it_has_a_deadline() {
    let server = RedisServer::start();
    let client = Client::from_connection(connect(&server).await, Duration::from_millis(20));
    let late = client.call(&[b"BLPOP", b"never", b"0"]).await.unwrap_err();
    assert_eq!((late.kind(), late.obstacle()), (ErrorKind::Unavailable, Some(Obstacle::TimedOut)));
}

#[tokio::test]
async fn a_connection_to_a_cluster_sees_all_its_servers() {
    let cluster = RedisCluster::start(3);
    let nodes = cluster.servers().iter().map(RedisServer::url);
    let nodes = ClusterClient::builder(nodes.collect::<Vec<_>>());
    let nodes = nodes.connection_timeout(PATIENCE).response_timeout(PATIENCE).build().unwrap();
    let client = Client::from_cluster_connection(nodes.get_async_connection().await.unwrap());
    assert!(client.is_cluster());
    all_are_found(&client).await;
}
