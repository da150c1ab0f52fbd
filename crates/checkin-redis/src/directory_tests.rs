//! Lists in Redis: index entries that other programs read, and stale entries.

use testkit::RedisServer;

use super::RedisStorage;
use super::tests::{ask, storage};
use checkin_domain::{Category, Coordinates, Location, LocationId};
use checkin_storage::conformance::{first, listed, listed_places, location, user};
use checkin_storage::{BulkLoad, Directory, Health, Nearby, Page, Period, Position};

/// A Saturday, and the Monday before.
const NOW_MS: u64 = 1_609_602_085_397;
const MONDAY_MS: &str = "1609113600000";

fn place() -> LocationId {
    LocationId::try_from(2).unwrap()
}

async fn load_users(storage: &RedisStorage, ids: std::ops::RangeInclusive<u64>) {
    let users: Vec<_> = ids.map(|id| user(id, &format!("u{id}@example.com"))).collect();
    storage.load_users(&users).await.unwrap();
}

async fn indexes(storage: &RedisStorage) -> Vec<String> {
    let mut keys = ask(storage, "KEYS ncc:users:*").await;
    keys.extend(ask(storage, "KEYS ncc:locations:*").await);
    keys.sort_unstable();
    let mut all = Vec::new();
    for key in keys.iter().filter(|key| !key.ends_with(":email") && !key.ends_with("-id")) {
        let entries = ask(storage, &format!("ZRANGE {key} 0 -1 WITHSCORES")).await;
        let geographic = key.contains(":geo");
        let entries = if geographic { vec![entries[0].clone()] } else { entries };
        all.push(format!("{key} {}", entries.join(" ")));
    }
    all
}

#[tokio::test]
async fn loaded_records_are_in_the_indexes_and_a_second_load_repairs_them() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let entries = [
        "ncc:locations:bycheckins 2 2",
        "ncc:locations:category:cafe 2 2",
        "ncc:locations:geo 2",
        "ncc:locations:geo:cafe 2",
        "ncc:locations:ids 2 2",
        "ncc:locations:words:2 coffee\u{0}2 0 quillback\u{0}2 0",
        "ncc:users:at:2 77 1609602085397",
        "ncc:users:bycheckins 77 3",
        "ncc:users:ids 77 77",
        "ncc:users:recent 77 1609602085397",
    ];
    load_users(&storage, 77..=77).await;
    storage.load_locations(&[location(2)]).await.unwrap();
    assert_eq!(indexes(&storage).await, entries);
    for key in ["users:at:2", "users:bycheckins", "users:recent", "locations:words:2"] {
        ask(&storage, &format!("DEL ncc:{key}")).await;
    }
    ask(&storage, "DEL ncc:locations:geo ncc:locations:geo:cafe ncc:locations:category:cafe").await;
    // A check-in was applied since then: the score is not decreased.
    ask(&storage, "ZADD ncc:locations:bycheckins 9 2").await;
    load_users(&storage, 77..=77).await;
    let renamed = Location { name: "Elsewhere".to_owned(), ..location(2) };
    storage.load_locations(&[renamed]).await.unwrap();
    assert_eq!(indexes(&storage).await[1..], entries[1..]);
    assert_eq!(ask(&storage, "ZSCORE ncc:locations:bycheckins 2").await, ["9"]);
}

#[tokio::test]
async fn a_page_skips_entries_without_a_record() {
    let server = RedisServer::start();
    let storage = storage(&server);
    load_users(&storage, 1..=3).await;
    storage.load_locations(&[2, 3].map(location)).await.unwrap();
    for id in 100..=130 {
        ask(&storage, &format!("ZADD ncc:users:recent {NOW_MS} {id}")).await;
        ask(&storage, &format!("ZADD ncc:locations:bycheckins 9 {id}")).await;
        ask(&storage, &format!("ZADD ncc:locations:category:cafe 1 {id}")).await;
        ask(&storage, &format!("GEOADD ncc:locations:geo -122.2711 37.8044 {id}")).await;
        storage
            .redis
            .call(&["ZADD", "ncc:locations:words:2", "0", &format!("coffee\0{id}")])
            .await
            .unwrap();
    }
    let here = Nearby { center: location(2).coordinates, radius_m: 100.0, category: None };
    for limit in [1, 2, 7] {
        let users = listed(limit, async |page| storage.recent_users(page).await).await;
        assert_eq!(users, [(NOW_MS, 3), (NOW_MS, 2), (NOW_MS, 1)]);
        let top = async |page| storage.top_locations(Period::AllTime, page).await;
        assert_eq!(listed(limit, top).await, [(2, 3), (2, 2)]);
        let cafes = async |page| storage.locations_in(Category::Cafe, page).await;
        assert_eq!(listed(limit, cafes).await, [(2, 2), (3, 3)]);
        let named = async |page| Ok(storage.search_locations("coff", page).await?.locations);
        assert_eq!(listed(limit, named).await, [(2, 2), (3, 3)]);
        let near = async |page| Ok(storage.nearby(here, page).await?.locations);
        assert_eq!(listed(limit, near).await, [(0, 2), (0, 3)]);
    }
}

#[tokio::test]
async fn a_user_who_is_elsewhere_is_not_listed_and_is_removed_from_the_index() {
    let server = RedisServer::start();
    let storage = storage(&server);
    load_users(&storage, 1..=20).await;
    for id in 1..=18 {
        let later = NOW_MS + 1;
        ask(&storage, &format!("HSET ncc:user:{id} lastSeenAt 3 lastCheckin {later}")).await;
    }
    // The index is newer than this user's hash.
    ask(&storage, "HSET ncc:user:19 lastSeenAt 3").await;
    let users = async |page| storage.users_at(place(), page).await;
    assert_eq!(listed(7, users).await, [(NOW_MS, 20)]);
    let mut left = ask(&storage, "ZRANGE ncc:users:at:2 0 -1").await;
    left.sort_unstable();
    assert_eq!(left, ["19", "20"]);
}

#[tokio::test]
async fn an_entry_that_was_written_again_is_not_removed() {
    let server = RedisServer::start();
    let storage = storage(&server);
    ask(&storage, "ZADD ncc:set 7 1 9007199254740991 2").await;
    for (member, score) in [("1", "6"), ("2", "9007199254740990"), ("3", "1")] {
        storage
            .redis
            .run(&storage.redis.scripts.remove_unchanged, &["ncc:set"], &[member, score])
            .await
            .unwrap();
    }
    assert_eq!(ask(&storage, "ZCARD ncc:set").await, ["2"]);
    for (member, score) in [("1", "7"), ("2", "9007199254740991")] {
        storage
            .redis
            .run(&storage.redis.scripts.remove_unchanged, &["ncc:set"], &[member, score])
            .await
            .unwrap();
    }
    assert_eq!(ask(&storage, "ZCARD ncc:set").await, ["0"]);
}

#[tokio::test]
async fn a_page_begins_after_any_position_in_both_orders() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let scores = [1_u64, 5, 5, 5, 5, 9, 9_007_199_254_740_991];
    for (id, score) in [7, 1, 10, 2, 100, 3, 4].into_iter().zip(scores) {
        ask(&storage, &format!("ZADD ncc:set {score} {id}")).await;
    }
    // Members of the same score are in the order of their digits: 1, 10, 100, 2.
    for (order, rank, id, expected) in [
        ("asc", 0, 9, &["7", "1", "10", "100", "2", "3", "4"][..]),
        ("asc", 5, 1, &["10", "100", "2", "3", "4"]),
        ("asc", 5, 11, &["2", "3", "4"]),
        ("asc", 5, 3, &["3", "4"]),
        ("asc", 9, 3, &["4"]),
        ("asc", u64::MAX, 1, &[]),
        ("desc", u64::MAX, 1, &["4", "3", "2", "100", "10", "1", "7"]),
        ("desc", 9_007_199_254_740_991, 4, &["3", "2", "100", "10", "1", "7"]),
        ("desc", 6, 1, &["2", "100", "10", "1", "7"]),
        ("desc", 5, 3, &["2", "100", "10", "1", "7"]),
        ("desc", 5, 10, &["1", "7"]),
        ("desc", 5, 1, &["7"]),
        ("desc", 1, 7, &[]),
        ("desc", 0, 1, &[]),
    ] {
        let words = [order, "10", &rank.to_string(), &id.to_string()];
        let page =
            storage.redis.run(&storage.redis.scripts.page, &["ncc:set"], &words).await.unwrap();
        let page = super::reply::texts(page).unwrap();
        let members: Vec<&String> = page.iter().step_by(2).collect();
        assert_eq!(members, expected.iter().collect::<Vec<_>>(), "{order} {rank} {id}");
    }
}

#[tokio::test]
async fn leaderboards_of_a_week_are_separate_lists() {
    let server = RedisServer::start();
    let storage = storage(&server);
    load_users(&storage, 1..=3).await;
    storage.load_locations(&[1, 2, 3].map(location)).await.unwrap();
    for of in ["users", "locations"] {
        ask(&storage, &format!("ZADD ncc:{of}:bycheckins:{MONDAY_MS} 5 1 7 2 6 99 5 3")).await;
    }
    let week = Period::WeekOf(NOW_MS);
    for limit in [1, 2, 7] {
        let users = async |page| storage.top_users(week, page).await;
        assert_eq!(listed(limit, users).await, [(7, 2), (5, 3), (5, 1)]);
        let places = async |page| storage.top_locations(week, page).await;
        assert_eq!(listed(limit, places).await, [(7, 2), (5, 3), (5, 1)]);
    }
}

#[tokio::test]
async fn a_thousand_locations_at_one_point_are_listed_in_pages() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let places: Vec<Location> = (1..=1000).map(location).collect();
    storage.load_locations(&places).await.unwrap();
    let center = Coordinates::new(-122.27, 37.8).unwrap();
    let near = Nearby { center, radius_m: 5000.0, category: Some(Category::Cafe) };
    let list = listed_places(100, async |page| storage.nearby(near, page).await).await;
    let ids: Vec<u64> = list.iter().map(|(_, id)| *id).collect();
    assert_eq!(ids, (1..=1000).collect::<Vec<_>>());
    let after = Some(Position { rank: list[500].0, id: 500 });
    let page = storage.nearby(near, Page { after, ..first(3) }).await.unwrap().locations;
    assert_eq!(page[0].item.id.get(), 501);
}

/// Returns the number of bytes that Redis has sent.
async fn sent_bytes(storage: &RedisStorage) -> u64 {
    let info = ask(storage, "INFO stats").await.concat();
    let line = info.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_page_near_a_point_reads_few_of_the_locations_in_the_circle() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let in_town = |id: u64| {
        let (east, north) = ((id % 60) as f64 / 500.0, (id / 60) as f64 / 500.0);
        let coordinates = Coordinates::new(10.0 + east, 50.0 + north).unwrap();
        Location { coordinates, ..location(id) }
    };
    let places: Vec<Location> = (1..=3600).map(in_town).collect();
    storage.load_locations(&places).await.unwrap();
    for (longitude, latitude) in [(10.06, 50.06), (-60.0, -20.0)] {
        let center = Coordinates::new(longitude, latitude).unwrap();
        let near = Nearby { center, radius_m: f64::INFINITY, category: None };
        let list = listed_places(4000, async |page| storage.nearby(near, page).await).await;
        assert_eq!(list.len(), 3600);
        for behind in [0, 1, 1800, 3590] {
            let after = list[..behind].last().map(|&(rank, id)| Position { rank, id });
            let before = sent_bytes(&storage).await;
            let page = storage.nearby(near, Page { after, limit: 9 }).await.unwrap().locations;
            let sent = sent_bytes(&storage).await - before;
            let ids: Vec<u64> = page.iter().map(|place| place.item.id.get()).collect();
            let expected: Vec<u64> = list[behind..behind + 9].iter().map(|(_, id)| *id).collect();
            assert_eq!(ids, expected);
            // The ids of all locations have more than 100,000 bytes, their hashes many more.
            assert!(sent < 50_000, "{sent} bytes for 9 locations behind {behind} from {center}");
        }
    }
}

#[tokio::test]
async fn a_search_reads_few_of_the_names_with_a_frequent_word() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_locations(&(1..=30).map(location).collect::<Vec<_>>()).await.unwrap();
    for chunk in 1..=20 {
        let members = (1..=1000).map(|id| format!("coffee\0{}", chunk * 1000 + id));
        let words = members.flat_map(|member| ["0".to_owned(), member]).collect::<Vec<_>>();
        let words =
            ["ZADD", "ncc:locations:words:2"].into_iter().chain(words.iter().map(String::as_str));
        storage.redis.call(&words.collect::<Vec<_>>()).await.unwrap();
    }
    for words in ["c", "coffee", "c co cof coff coffe coffee q qu"] {
        let before = sent_bytes(&storage).await;
        let found = storage.search_locations(words, first(9)).await.unwrap();
        let sent = sent_bytes(&storage).await - before;
        let ids: Vec<u64> = found.locations.iter().map(|place| place.item.id.get()).collect();
        assert_eq!(ids, (1..=9).collect::<Vec<_>>(), "{words}");
        // The index has about 400,000 bytes.
        assert!(sent < 150_000, "{sent} bytes for {words}");
    }
}

/// An older program indexes names differently, before and while this version runs.
#[tokio::test]
async fn names_that_an_older_program_indexed_are_indexed_again() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let name = "Καφές O’Hara".to_owned();
    storage.load_locations(&[Location { name, ..location(2) }]).await.unwrap();
    let found = async || storage.search_locations("ΚΑΦΈΣ", first(9)).await.unwrap().locations.len();
    for old in ["καφεσ", "o", "hara"] {
        ask(&storage, "DEL ncc:locations:words:2").await;
        ask(&storage, &format!("ZADD ncc:locations:words 0 {old}\0{}", 2)).await;
        assert_eq!(found().await, 0);
        storage.upgrade().await.unwrap();
        assert_eq!(found().await, 1);
        assert_ne!(ask(&storage, "TTL ncc:locations:words").await, ["-1"]);
    }
    // There are no new names, so nothing is indexed.
    ask(&storage, "DEL ncc:locations:words:2").await;
    storage.upgrade().await.unwrap();
    assert_eq!(found().await, 0);
}
