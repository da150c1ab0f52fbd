//! Each store that lists an account's sessions passes the same suite.

use std::time::Duration;

use testkit::RedisServer;
use tower_express_session::store::conformance::accounts::{self, Subject};

use crate::backend::{self, Backend};

#[tokio::test]
async fn memory() {
    check(&backend::memory()).await;
}

#[tokio::test]
async fn sqlite() {
    check(&backend::sqlite().await).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis() {
    check(&backend::redis(RedisServer::start())).await;
}

async fn check(backend: &Backend) {
    let pass_time = |name: &str, time: Duration| backend.pass_time(name, time);
    let neighbour = backend.neighbour.as_deref();
    accounts::run(&Subject { store: &*backend.store, pass_time: &pass_time, neighbour }).await;
}
