//! Histories of Swarm, complete and in parts.

use super::*;
use crate::{Loaded, Retracted, VenueLocation};
use checkin_domain::{CheckinId, Visit};

const STORED: Loaded = Loaded::Stored;
const THERE: Loaded = Loaded::Unchanged;

fn venue(name: &str, id: u64) -> (String, Location) {
    (name.to_owned(), place(id, name, 4.89, 52.37))
}

/// Returns a visit of user 1 at this second, with its Swarm id if it has one.
fn visit(swarm_id: &str, second: u64, location: u64, stars: u64) -> Visit {
    // An import makes the ids of check-ins without one in the same way.
    let id = CheckinId { ms: second * 1000, seq: 10 * location + stars };
    let checkin = new_checkin(1, location, stars).with_id(id);
    Visit { checkin, swarm_id: Some(swarm_id.to_owned()).filter(|id| !id.is_empty()) }
}

async fn store(subject: StoreUnderTest) -> Arc<dyn Storage> {
    let storage = subject.storage;
    storage.load_users(&[user(1, "one@example.com"), user(2, "two@example.com")]).await.unwrap();
    storage.load_locations(&[location(1), location(2)]).await.unwrap();
    storage
}

async fn log(storage: &dyn Storage) -> Vec<Checkin> {
    storage.checkins_between(0..=u64::MAX, None, usize::MAX).await.unwrap()
}

pub async fn a_venue_has_the_location_that_was_recorded_last(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let venues = ["a".to_owned(), "b".to_owned()];
    assert_eq!(storage.locations_of(&venues).await.unwrap(), [None, None]);
    assert_eq!(storage.locations_of(&[]).await.unwrap(), []);
    let remember = async |id| {
        storage.remember_venues(&[("b".to_owned(), location_id(id))]).await.unwrap();
    };
    remember(1).await;
    assert_eq!(storage.locations_of(&venues).await.unwrap(), [None, Some(location_id(1))]);
    remember(2).await;
    assert_eq!(storage.locations_of(&venues).await.unwrap(), [None, Some(location_id(2))]);
    let made = storage.make_locations(&[venue("b", 3)]).await.unwrap();
    assert_eq!(made, [VenueLocation { id: location_id(2), made: false }]);
}

pub async fn parallel_imports_create_one_location_for_a_venue(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let made = together(4, |_| {
        let storage = storage.clone();
        async move { storage.make_locations(&[venue("a", 3), venue("b", 3)]).await.unwrap() }
    })
    .await;
    for venue in 0..2 {
        assert!(made.iter().all(|places| places[venue].id == made[0][venue].id), "{made:?}");
        assert_eq!(made.iter().filter(|places| places[venue].made).count(), 1, "{made:?}");
    }
    // No id is used up, whichever venue gets the first one.
    assert!(made[0].iter().all(|place| place.id.get() <= 4), "{made:?}");
    let places = storage.locations_after(Some(location_id(2)), 10).await.unwrap();
    let mut names: Vec<&str> = places.iter().map(|place| &*place.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
}

pub async fn a_new_location_gets_an_unused_id(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let make = async |name: &str, id: u64| {
        storage.make_locations(&[venue(name, id)]).await.unwrap().swap_remove(0).id.get()
    };
    assert_eq!(make("a", 1).await, 3);
    assert_eq!(make("b", 40).await, 40);
    assert_eq!(make("c", 41).await, 41);
    // The state that an import leaves if it ends before the location is written.
    storage.remember_venues(&[("d".to_owned(), location_id(50))]).await.unwrap();
    assert_eq!(make("d", 42).await, 50);
    assert_eq!(storage.location(location_id(50)).await.unwrap().unwrap().name, "d");
}

pub async fn a_visit_is_identified_by_its_swarm_id(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let load = async |visits: &[Visit]| storage.load_visits(visits).await.unwrap();
    assert_eq!(load(&[]).await, []);
    let first = visit("c2", 20, 1, 4);
    assert_eq!(load(&[first.clone(), first]).await, [STORED, THERE]);
    // An earlier visit, and the stored visit with another rating, location and time.
    assert_eq!(load(&[visit("c1", 10, 1, 4), visit("c2", 21, 2, 5)]).await, [STORED, THERE]);
    // Two visits in one second are both stored, and recognized the next time.
    let twins = [visit("c3", 10, 1, 4), visit("c4", 10, 1, 3), visit("c1", 10, 1, 3)];
    assert_eq!(load(&twins).await, [STORED, STORED, THERE]);
    assert_eq!(load(&twins).await, [THERE; 3]);
    let others = Visit { checkin: checkin("10000-9", 2, 1), swarm_id: Some("c1".to_owned()) };
    assert_eq!(load(&[others.clone(), others]).await, [STORED, THERE]);
    let unknown = Visit { checkin: checkin("9-9", 1, 9), swarm_id: Some("c9".to_owned()) };
    assert_eq!(load(&[unknown]).await, [Loaded::Dangling]);
    assert_eq!(load(&[visit("c9", 30, 1, 1)]).await, [STORED]);
    let mut times: Vec<u64> = log(&*storage).await.iter().map(|entry| entry.time_ms).collect();
    times.sort_unstable();
    assert_eq!(times, [10_000, 10_000, 10_001, 10_002, 20_000, 30_000]);
}

pub async fn a_visit_loaded_without_its_swarm_id_is_recognized(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let load = async |visits: &[Visit]| storage.load_visits(visits).await.unwrap();
    // With their own ids, and behind later ones; as in a table, and as in an old export.
    let table = [visit("", 20, 1, 4).checkin, visit("", 10, 1, 4).checkin];
    assert_eq!(storage.load_checkins(&table).await.unwrap(), [STORED; 2]);
    assert_eq!(load(&[visit("", 30, 1, 4), visit("", 5, 1, 4)]).await, [STORED; 2]);
    let all = |ids: [&str; 4], stars| {
        let seconds = [20, 10, 30, 5];
        let visits = ids.into_iter().zip(seconds);
        visits.map(|(id, second)| visit(id, second, 1, stars)).collect::<Vec<_>>()
    };
    assert_eq!(load(&all([""; 4], 3)).await, [THERE; 4]);
    assert_eq!(load(&all(["a", "b", "c", "d"], 2)).await, [THERE; 4]);
    assert_eq!(load(&all(["a", "b", "c", "d"], 2)).await, [THERE; 4]);
    assert_eq!(load(&all([""; 4], 4)).await, [THERE; 4]);
    // Each of them belongs to one visit only.
    assert_eq!(load(&[visit("e", 20, 1, 4)]).await, [STORED]);
    assert_eq!(log(&*storage).await.len(), 5);
}

pub async fn a_visit_stays_private_or_public(subject: StoreUnderTest) {
    let storage = store(subject).await;
    let load = async |visits: &[Visit]| storage.load_visits(visits).await.unwrap();
    let hidden = |visit: Visit| Visit {
        checkin: Checkin { is_private: true, ..visit.checkin },
        swarm_id: visit.swarm_id,
    };
    let history = async || storage.of_user(user_id(1), None, 99).await.unwrap();
    let numbers = async || (log(&*storage).await.len(), history().await.len());
    // Without an id, of any rating; with one, which belongs to the visit from then on.
    assert_eq!(load(&[hidden(visit("", 20, 1, 4)), visit("", 30, 1, 4)]).await, [STORED; 2]);
    let before = numbers().await;
    for stars in [4, 0] {
        let other = [visit("", 20, 1, stars), hidden(visit("", 30, 1, stars))];
        assert_eq!(load(&other).await, [THERE; 2], "{stars}");
    }
    let with_ids = [visit("a", 20, 1, 4), hidden(visit("b", 30, 1, 4))];
    assert_eq!(load(&with_ids).await, [THERE; 2]);
    let moved = [visit("a", 21, 2, 4), hidden(visit("b", 31, 2, 4))];
    assert_eq!(load(&moved).await, [THERE; 2]);
    assert_eq!(numbers().await, before);
    // Another visit in the same second as the one that has this id.
    assert_eq!(load(&[hidden(visit("c", 30, 1, 4))]).await, [STORED]);

    // A deleted one comes back in neither form.
    let first = [hidden(visit("", 40, 2, 4)), visit("", 50, 2, 4), visit("", 45, 2, 4)];
    assert_eq!(load(&first).await, [STORED; 3]);
    let private = history().await.into_iter().filter(|checkin| checkin.is_private);
    let public = log(&*storage).await;
    for checkin in private.chain(public).filter(|checkin| checkin.location == location_id(2)) {
        let retracted = storage.retract(checkin.user, checkin.id).await.unwrap();
        assert_eq!(retracted, Retracted::Done);
    }
    let before = numbers().await;
    let other = [visit("", 40, 2, 4), hidden(visit("", 50, 2, 4)), hidden(visit("", 45, 2, 4))];
    assert_eq!(load(&other).await, [THERE; 3]);
    assert_eq!(numbers().await, before);
}
