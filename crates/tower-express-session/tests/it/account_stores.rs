//! Each account store passes the conformance suite.

use std::time::Duration;

use testkit::RedisServer;
use tower_express_session::store::conformance::accounts::{self, AccountStoreUnderTest};

use crate::backend::{self, Backend};

#[tokio::test]
async fn the_memory_store_passes_the_account_suite() {
    check(&backend::memory()).await;
}

#[tokio::test]
async fn the_sqlite_store_passes_the_account_suite() {
    check(&backend::sqlite().await).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_redis_store_passes_the_account_suite() {
    check(&backend::redis(RedisServer::start())).await;
}

#[tokio::test]
async fn each_store_with_encryption_passes_the_account_suite() {
    for backend in backend::all().await {
        check(&backend::encrypted("encrypted", backend)).await;
    }
}

async fn check(backend: &Backend) {
    let pass_time = |name: &str, time: Duration| backend.pass_time(name, time);
    let neighbour = backend.neighbour.as_deref();
    accounts::run(&AccountStoreUnderTest {
        store: &*backend.store,
        pass_time: &pass_time,
        neighbour,
    })
    .await;
}
