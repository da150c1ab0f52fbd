//! The library leaves the process's crypto provider alone. A program of its own: no other test may
//! install one meanwhile.

use redis_link::{Client, ErrorKind, Obstacle};
use rustls::crypto::{CryptoProvider, ring};
use testkit::RedisServer;

#[tokio::test]
async fn the_program_installs_the_crypto_provider_and_is_told_so() {
    for url in ["rediss://localhost", "rediss-sentinel://localhost/m", "rediss-cluster://localhost"]
    {
        let error = Client::open(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{url}");
        assert!(error.to_string().contains("install_default"), "{error}");
    }
    // Without TLS there is nothing to install, not even to find out whether the port speaks it.
    let server = RedisServer::start();
    let client = Client::open(&server.url()).unwrap();
    client.call(&[b"PING"]).await.unwrap();
    client.check().await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", silent.local_addr().unwrap());
    let obstacle = Client::open(&address).unwrap().check().await.unwrap_err();
    assert_eq!(obstacle, Obstacle::TimedOut);
    assert!(CryptoProvider::get_default().is_none(), "nothing was installed behind our back");

    ring::default_provider().install_default().unwrap();
    Client::open("rediss://localhost").unwrap();
}
