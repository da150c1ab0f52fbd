//! The library installs no crypto provider. This is a separate test program, because no other test
//! may install a provider at the same time.

use redis_link::{Client, ErrorKind, Obstacle};
use rustls::crypto::{CryptoProvider, ring};
use testkit::RedisServer;

#[tokio::test]
async fn tls_without_a_crypto_provider_is_an_error_that_says_how_to_install_one() {
    for url in ["rediss://localhost", "rediss-sentinel://localhost/m", "rediss-cluster://localhost"]
    {
        let error = Client::open(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{url}");
        assert!(error.to_string().contains("install_default"), "{error}");
    }
    // Without TLS no provider is needed, not even to find out whether the port requires TLS.
    let server = RedisServer::start();
    let client = Client::open(&server.url()).unwrap();
    client.call(&[b"PING"]).await.unwrap();
    client.check().await.unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", silent.local_addr().unwrap());
    let obstacle = Client::open(&address).unwrap().check().await.unwrap_err();
    assert_eq!(obstacle, Obstacle::TimedOut);
    assert!(CryptoProvider::get_default().is_none(), "the library installed no provider");

    ring::default_provider().install_default().unwrap();
    Client::open("rediss://localhost").unwrap();
}
