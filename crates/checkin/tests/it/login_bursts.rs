//! The memory of the authentication service after many logins at the same time.

use futures_util::future::join_all;

use crate::harness::{Site, memory_kib};

/// As many as wait for their turn without a refusal.
const LOGINS: usize = 48;

/// The memory of one password hash. Not even one may stay.
const HASH_KIB: u64 = 19_456;

async fn memory_of_hashes_is_returned(site: Site) {
    let auth = site.auth(&[]);
    let before = memory_kib(&auth.program, "VmRSS");
    join_all((0..LOGINS).map(|_| auth.logged_in())).await;
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
