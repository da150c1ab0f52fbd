//! The memory of the authentication service after many logins at the same time.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Site, expect_plain, memory_kib};

/// As many as wait for their turn without a refusal, each of another account.
const LOGINS: usize = 48;

/// The memory of one password hash. Not even one may stay.
const HASH_KIB: u64 = 19_456;

async fn memory_of_hashes_is_returned(site: Site) {
    let auth = site.auth(&[]);
    let before = memory_kib(&auth.program, "VmRSS");
    let listed = site.run("users", &["list", "--json"]).stdout;
    let users = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let logins = users.take(LOGINS).map(|user| {
        let (mut client, login) =
            (auth.client(), json!({"email": user["email"], "password": PASSWORD}));
        async move { expect_plain(&client.post("/login", &login).await, 200, "OK") }
    });
    assert_eq!(join_all(logins).await.len(), LOGINS);
    let after = memory_kib(&auth.program, "VmRSS");
    assert!(after < before + HASH_KIB, "{before} KiB before, {after} KiB after");
}

#[tokio::test]
async fn memory_of_hashes_is_returned_on_sqlite() {
    memory_of_hashes_is_returned(Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn memory_of_hashes_is_returned_on_redis() {
    memory_of_hashes_is_returned(Site::redis()).await;
}
