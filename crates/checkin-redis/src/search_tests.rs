//! Changes of accounts at the same time as the searches for them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use checkin_domain::UserId;
use checkin_storage::conformance::user;
use checkin_storage::{BulkLoad, Searches, Users};
use futures_util::future::join_all;
use testkit::{Proxy, RedisServer};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::RedisStorage;
use super::tests::{ask, patient, storage};

const ACCOUNTS: u64 = 300;

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn ids() -> impl Iterator<Item = UserId> {
    (1..=ACCOUNTS).map(|id| id.try_into().unwrap())
}

/// Raises the epoch of each account. Every third raise is given up soon, and may be carried out late.
async fn change_each(storage: RedisStorage) {
    let change = async |id: UserId| {
        sleep(ms(id.get())).await;
        let patience = if id.get().is_multiple_of(3) { ms(10) } else { ms(20_000) };
        // Some are refused each time.
        drop(timeout(patience, storage.raise_epoch(id, None)).await);
    };
    join_all(ids().map(change)).await;
}

/// Holds up what is sent, so that searches begin between the two steps of a change.
async fn hold_up(proxy: &Proxy) -> Infallible {
    loop {
        proxy.freeze();
        sleep(ms(5)).await;
        proxy.thaw();
        sleep(ms(2)).await;
    }
}

/// Searches until the changes have ended and nothing is due. Returns the epochs that were read last.
async fn search(storage: &RedisStorage, changes: JoinHandle<()>) -> HashMap<UserId, u64> {
    let mut seen = HashMap::new();
    loop {
        let is_last = changes.is_finished();
        let due = storage.due_searches("a", ms(20_000), 10).await.unwrap().unwrap();
        if due.is_empty() && is_last {
            return seen;
        }
        for search in &due {
            storage.begin_search(search).await.unwrap();
            let epoch = storage.standing(search.user).await.unwrap().epoch;
            seen.insert(search.user, epoch);
        }
        storage.finish_searches("a", &due).await.unwrap();
    }
}

#[tokio::test]
async fn a_search_sees_each_change_that_is_made() {
    let server = RedisServer::start();
    let (proxy, near) = (Proxy::start(server.port()), storage(&server));
    let accounts: Vec<_> =
        ids().map(|id| user(id.get(), &format!("{}@example.com", id.get()))).collect();
    near.load_users(&accounts).await.unwrap();
    let far = patient(&format!("redis://127.0.0.1:{}", proxy.port()));
    let far = RedisStorage::new(far, "ncc", 1);
    let changes = tokio::spawn(change_each(far.clone()));
    let seen = tokio::select! {
        seen = search(&near, changes) => seen,
        never = hold_up(&proxy) => match never {},
    };
    proxy.thaw();
    // Redis has received each command that was sent before.
    ask(&far, "PING").await;
    let mut made = 0;
    for id in ids() {
        let epoch = near.standing(id).await.unwrap().epoch;
        assert_eq!(seen.get(&id).copied().unwrap_or_default(), epoch, "account {id}");
        made += epoch;
    }
    assert!(made >= ACCOUNTS / 2, "{made} changes are made");
}
