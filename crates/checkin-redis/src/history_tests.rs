//! Histories with very many check-ins at one millisecond, as an import may have them.

use std::collections::BTreeSet;

use checkin_domain::{Checkin, LocationId, UserId};
use checkin_storage::conformance::{apply_all, checkin, location, user};
use checkin_storage::{BulkLoad, History, HistoryPosition, Loaded};
use testkit::RedisServer;

use super::RedisStorage;
use super::history::Histories;
use super::tests::{ask, storage};

const CHECKINS: u64 = 20_000;

const PAGE: usize = 100;

/// What Redis may send for a page, with two replies to `INFO`: a few dozen bytes for each check-in.
const PAGE_COST: u64 = 40_000;

/// What Redis may send for the import of a check-in that is there: a thousand members, a few times.
const IMPORT_COST: u64 = 200_000;

/// What Redis may send for each member of a millisecond, for an import of many check-ins of it.
const MEMBER_COST: u64 = 100;

/// Returns the number of bytes that Redis has sent.
async fn sent(storage: &RedisStorage) -> u64 {
    let info = ask(storage, "INFO stats").await.concat();
    let sent = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    sent.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_page_among_very_many_checkins_of_one_millisecond_costs_no_more_than_others() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let (al, here): (UserId, LocationId) = (1.try_into().unwrap(), 1.try_into().unwrap());
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    let of = |seq: u64, is_private| Checkin {
        is_private,
        ..checkin(&format!("1609602085397-{seq}"), 1, 1)
    };
    let all: Vec<Checkin> = (0..CHECKINS).map(|seq| of(seq, false)).collect();
    storage.load_checkins(&all).await.unwrap();
    apply_all(&storage, 500).await;
    // A private one is among them in the order of the pages.
    let private = Checkin { location: 2.try_into().unwrap(), ..of(10_000_000, true) };
    storage.load_locations(&[location(2)]).await.unwrap();
    assert_eq!(storage.load_checkins(&[private]).await.unwrap(), [Loaded::Stored]);

    for is_user in [true, false] {
        let (mut ids, mut after, mut read) = (BTreeSet::new(), None, 0);
        loop {
            let before = sent(&storage).await;
            let page = match is_user {
                true => storage.of_user(al, after, PAGE).await.unwrap(),
                false => storage.of_location(here, after, PAGE).await.unwrap(),
            };
            let cost = sent(&storage).await - before;
            assert!(cost < PAGE_COST, "{cost} bytes");
            let Some(last) = page.last() else { break };
            after = Some(HistoryPosition::from(last));
            read += page.len() as u64;
            ids.extend(page.iter().map(|checkin| checkin.id));
        }
        assert_eq!((read, ids.len() as u64), (CHECKINS + u64::from(is_user), read));
    }

    let before = sent(&storage).await;
    assert_eq!(storage.load_checkins(&all[..1]).await.unwrap(), [Loaded::Unchanged]);
    let cost = sent(&storage).await - before;
    assert!(cost < IMPORT_COST, "{cost} bytes");
    // New ones of the same millisecond: all members are compared with all of them, and sent once.
    let more = |seq| Checkin { location: 3.try_into().unwrap(), ..of(CHECKINS + seq, false) };
    storage.load_locations(&[location(3)]).await.unwrap();
    let more: Vec<Checkin> = (0..500).map(more).collect();
    let before = sent(&storage).await;
    assert_eq!(storage.load_checkins(&more).await.unwrap()[0], Loaded::Stored);
    let cost = sent(&storage).await - before;
    assert!(cost < CHECKINS * MEMBER_COST, "{cost} bytes");
    let key = storage.redis.keys.user_history(al);
    for checkin in [&all[0], &all[all.len() / 2], &all[all.len() - 1]] {
        let found = Histories(&storage.redis).find(&key, checkin.id).await.unwrap();
        assert_eq!(found.unwrap().id, checkin.id);
    }
}
