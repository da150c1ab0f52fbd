//! Clients made from existing connections.

use std::time::Duration;

use redis_link::redis::cluster::ClusterClient;
use redis_link::redis::{self, aio::MultiplexedConnection};
use redis_link::{Client, ErrorKind, Obstacle, Reply, Script, Tracked};
use testkit::{RedisCluster, RedisServer};

use crate::commands::a_scan_finds_all_keys;

const PATIENCE: Duration = Duration::from_secs(10);

async fn connect(server: &RedisServer) -> MultiplexedConnection {
    let server = redis::Client::open(server.url()).unwrap();
    server.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_client_uses_an_existing_connection() {
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
    a_scan_finds_all_keys(&client).await;
}

#[tokio::test]
async fn missing_features_return_unsupported() {
    let server = RedisServer::start();
    let client = Client::from_connection(connect(&server).await, PATIENCE);
    let dedicated = client.dedicated().unwrap_err();
    assert_eq!(dedicated.kind(), ErrorKind::Unsupported);
    let tracking = client.track("", PATIENCE, |_: Tracked<'_>| ()).await.unwrap_err();
    assert_eq!(tracking.kind(), ErrorKind::Unsupported);
    drop(server);
    let unavailable = client.call(&[b"PING"]).await.unwrap_err();
    assert_eq!(unavailable.kind(), ErrorKind::Unavailable);
    assert!(!client.check().await.unwrap_err().is_lasting());
}

#[tokio::test]
async fn a_command_on_an_existing_connection_has_a_deadline() {
    let server = RedisServer::start();
    let client = Client::from_connection(connect(&server).await, Duration::from_millis(20));
    let late = client.call(&[b"BLPOP", b"never", b"0"]).await.unwrap_err();
    assert_eq!((late.kind(), late.obstacle()), (ErrorKind::Unavailable, Some(Obstacle::TimedOut)));
}

#[tokio::test]
async fn an_existing_cluster_connection_scans_all_servers() {
    let cluster = RedisCluster::start(3);
    let nodes = cluster.servers().iter().map(RedisServer::url);
    let nodes = ClusterClient::builder(nodes.collect::<Vec<_>>());
    let nodes = nodes.connection_timeout(PATIENCE).response_timeout(PATIENCE).build().unwrap();
    let client = Client::from_cluster_connection(nodes.get_async_connection().await.unwrap());
    assert!(client.is_cluster());
    a_scan_finds_all_keys(&client).await;
}
