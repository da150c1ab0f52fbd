//! Lists of users and of locations.

use std::collections::{BTreeSet, HashMap};

use super::*;
use crate::{Accepted, Period};
use checkin_domain::monday_ms;
use checkin_domain::week::WEEK_MS;

/// Returns a user with these figures, who was last at location 2.
fn somebody(id: u64, num_checkins: u64, last_checkin: Option<u64>) -> User {
    let last_seen_at = last_checkin.map(|_| location_id(2));
    let user = user(id, &format!("u{id}@example.com"));
    User { num_checkins, last_checkin, last_seen_at, ..user }
}

pub async fn users_are_listed_by_their_figures(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let recent = async |page| storage.recent_users(page).await;
    let top = async |page| storage.top_users(Period::AllTime, page).await;
    assert_eq!(listed(7, recent).await, []);
    let users = [
        somebody(1, 5, Some(1_609_602_085_397)),
        somebody(2, 0, None),
        somebody(10, 12, Some(7)),
        somebody(9, 9, Some(1_609_602_085_398)),
        somebody(3, 100, Some(8)),
    ];
    storage.load_users(&users).await.unwrap();
    storage.register(new_user("new@example.com")).await.unwrap();
    let times = [(1_609_602_085_398, 9), (1_609_602_085_397, 1), (8, 3), (7, 10)];
    let counts = [(100, 3), (12, 10), (9, 9), (5, 1)];
    for limit in [1, 2, 3, 4, 5, 1000] {
        assert_eq!(listed(limit, recent).await, times);
        assert_eq!(listed(limit, top).await, counts);
    }
    assert_eq!(recent(first(1)).await.unwrap()[0].item, users[3]);
    assert_eq!(recent(first(0)).await.unwrap(), []);
    assert_eq!(recent(first(usize::MAX)).await.unwrap().len(), 4);
    let week = async |page| storage.top_users(Period::WeekOf(1_609_602_085_397), page).await;
    assert_eq!(listed(7, week).await, []);
}

pub async fn records_of_equal_rank_are_listed_once_each(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let mut users: Vec<User> = (1..=50).map(|id| somebody(id, 3, Some(1000))).collect();
    users.extend([somebody(51, 4, Some(1001)), somebody(52, 2, Some(999))]);
    storage.load_users(&users).await.unwrap();
    let places: Vec<Location> = (1..=50).map(location).collect();
    storage.load_locations(&places).await.unwrap();

    let at_place = async |page| storage.users_at(location_id(2), page).await;
    let recent = async |page| storage.recent_users(page).await;
    for list in [listed(7, recent).await, listed(7, at_place).await] {
        assert_eq!((list[0], list[51]), ((1001, 51), (999, 52)));
        assert_eq!(list.len(), 52);
        let equals: BTreeSet<_> = list[1..51].iter().copied().collect();
        assert_eq!(equals, (1..=50).map(|id| (1000, id)).collect());
        assert_eq!(listed(1000, recent).await, list);
        assert_eq!(listed(1, at_place).await, list);
    }
    let top = async |page| storage.top_users(Period::AllTime, page).await;
    assert_eq!(listed(7, top).await, listed(1000, top).await);
    let places = async |page| storage.top_locations(Period::AllTime, page).await;
    let list = listed(7, places).await;
    assert_eq!(list, listed(1000, places).await);
    assert_eq!(list.into_iter().collect::<BTreeSet<_>>().len(), 50);
}

pub async fn a_page_begins_after_a_record_that_moved_or_was_deleted(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let users: Vec<User> = [10, 20, 30, 40].map(|id| somebody(id, id, Some(id * 1000))).into();
    storage.load_users(&users).await.unwrap();
    // Positions of users who have other figures by now, and of a user who no longer exists.
    for (rank, id, expected) in [
        (u64::MAX, 1, &[40, 30, 20, 10][..]),
        (41, 10, &[40, 30, 20, 10]),
        (35, 40, &[30, 20, 10]),
        (31, 99, &[30, 20, 10]),
        (20, 20, &[10]),
        (11, 20, &[10]),
        (9, 40, &[]),
        (0, 0, &[]),
    ] {
        let after = Some(Position { rank, id });
        let page = storage.top_users(Period::AllTime, Page { after, limit: 9 }).await.unwrap();
        let ids: Vec<u64> = page.iter().map(|user| user.item.id.get()).collect();
        assert_eq!(ids, expected, "behind {rank}, {id}");
    }
    // The same in a list by ids.
    storage.load_locations(&[2, 4, 6].map(location)).await.unwrap();
    for (id, expected) in [(1, &[2, 4, 6][..]), (3, &[4, 6]), (4, &[6]), (u64::MAX, &[])] {
        let page = Page { after: Some(Position { rank: id, id }), limit: 9 };
        let cafes = storage.locations_in(Category::Cafe, page).await.unwrap();
        let named = storage.search_locations("coffee", page).await.unwrap().locations;
        assert_eq!(cafes, named);
        let ids: Vec<u64> = named.iter().map(|place| place.item.id.get()).collect();
        assert_eq!(ids, expected, "behind {id}");
    }
}

pub async fn users_are_listed_at_their_location(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let elsewhere = User { last_seen_at: Some(location_id(3)), ..somebody(4, 1, Some(6)) };
    let nowhere = User { last_seen_at: None, ..somebody(5, 1, Some(7)) };
    let users = [
        somebody(1, 1, Some(7)),
        somebody(2, 1, Some(9)),
        somebody(3, 0, None),
        elsewhere,
        nowhere,
    ];
    storage.load_users(&users).await.unwrap();
    let at = async |place, page| storage.users_at(location_id(place), page).await;
    for limit in [1, 7] {
        assert_eq!(listed(limit, async |page| at(2, page).await).await, [(9, 2), (7, 1)]);
        assert_eq!(listed(limit, async |page| at(3, page).await).await, [(6, 4)]);
        assert_eq!(listed(limit, async |page| at(4, page).await).await, []);
    }
}

pub async fn locations_are_listed_by_their_figures(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let counted = |id, num_checkins| Location { num_checkins, ..location(id) };
    let places = [counted(1, 5), counted(2, 0), counted(3, 50), counted(10, 7)];
    storage.load_locations(&places).await.unwrap();
    let top = async |page| storage.top_locations(Period::AllTime, page).await;
    for limit in [1, 2, 7] {
        assert_eq!(listed(limit, top).await, [(50, 3), (7, 10), (5, 1)]);
    }
    assert_eq!(top(first(1)).await.unwrap()[0].item, places[2]);
    let week = async |page| storage.top_locations(Period::WeekOf(0), page).await;
    assert_eq!(listed(7, week).await, []);
}

pub async fn a_week_has_leaderboards_of_its_own(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.load_users(&[1, 2].map(|id| somebody(id, 9, Some(7)))).await.unwrap();
    storage.load_locations(&[1, 2].map(location)).await.unwrap();
    let answer = storage.append(new_checkin(1, 1, 3), None, Admission::ALL).await.unwrap();
    let Accepted::Stored(now) = answer else { panic!("{answer:?}") };
    let monday = monday_ms(now.ms);
    let checkin = |ms, user, place| checkin(&format!("{ms}-7{user}"), user, place);
    let entries = [
        checkin(monday, 1, 1),
        checkin(monday, 2, 2),
        checkin(monday - 1, 2, 1),
        checkin(1000, 2, 2),
    ];
    storage.load_checkins(&entries).await.unwrap();
    apply_all(storage, 3).await;
    for (ms, users, places) in [
        (now.ms, &[(2, 1), (1, 2)][..], &[(2, 1), (1, 2)][..]),
        (monday - 1, &[(1, 2)], &[(1, 1)]),
        // Its leaderboard is no longer kept.
        (1000, &[], &[]),
        (now.ms + WEEK_MS, &[], &[]),
    ] {
        let week = Period::WeekOf(ms);
        assert_eq!(listed(1, async |page| storage.top_users(week, page).await).await, users);
        assert_eq!(listed(1, async |page| storage.top_locations(week, page).await).await, places);
    }
}

pub async fn locations_are_listed_by_category(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let places: Vec<Location> = (1..=20)
        .map(|id| Location { category: Category::ALL[id as usize % 6], ..location(id) })
        .collect();
    storage.load_locations(&places).await.unwrap();
    for category in Category::ALL {
        let of_category = places.iter().filter(|place| place.category == category);
        let expected: Vec<_> = of_category.map(|place| (place.id.get(), place.id.get())).collect();
        for limit in [1, 2, 100] {
            let list = async |page| storage.locations_in(category, page).await;
            assert_eq!(listed(limit, list).await, expected);
        }
    }
    let found = storage.categories(&[3, 99, 8, 3].map(location_id)).await.unwrap();
    let category = |id| (location_id(id), Category::ALL[id as usize % 6]);
    assert_eq!(found, HashMap::from([3, 8].map(category)));
}

pub async fn details_are_returned_in_order_with_gaps(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    storage.load_locations(&[1, 2, 3].map(location)).await.unwrap();
    storage.load_details(&[details(1), details(3)]).await.unwrap();
    let ids = [3, 2, 1, 99, 3].map(location_id);
    let found = storage.hours_of(&ids).await.unwrap();
    let hours = |id| Some(details(id).hours);
    assert_eq!(found, [hours(3), None, hours(1), None, hours(3)]);
    assert_eq!(storage.hours_of(&[]).await.unwrap(), []);
}
