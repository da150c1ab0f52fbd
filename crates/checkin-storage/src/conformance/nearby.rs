//! Locations near a point.

use super::*;
use crate::Nearby;

fn near(longitude: f64, latitude: f64, radius_m: f64) -> Nearby {
    let center = Coordinates::new(longitude, latitude).unwrap();
    Nearby { center, radius_m, category: None }
}

async fn ids(storage: &dyn Storage, near: Nearby) -> Vec<u64> {
    let all = storage.nearby(near, first(1000)).await.unwrap().locations;
    let list: Vec<_> = all.iter().map(|place| (place.rank, place.item.id.get())).collect();
    for limit in [1, 3] {
        assert_eq!(listed_places(limit, async |page| storage.nearby(near, page).await).await, list);
    }
    list.into_iter().map(|(_, id)| id).collect()
}

pub async fn locations_near_a_point_are_found_by_distance(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let places = [
        place(1, "a", 10.0, 50.003),
        place(2, "b", 10.0, 50.0011),
        Location { category: Category::Bar, ..place(3, "c", 10.0, 50.002) },
        place(4, "d", 10.0, 50.5),
        // At one point, and a few centimetres apart: the distances of Redis would be equal.
        place(6, "e", 10.0, 49.999),
        place(5, "f", 10.0, 49.999),
        place(7, "g", 10.0, 49.998_999_9),
    ];
    storage.load_locations(&places).await.unwrap();
    let here = near(10.0, 50.0, 1000.0);
    assert_eq!(ids(storage, here).await, [5, 6, 7, 2, 3, 1]);
    let page = storage.nearby(here, first(1)).await.unwrap().locations;
    assert_eq!((page[0].rank / 1000, &page[0].item), (111, &places[5]));

    for (category, expected) in
        [(Category::Cafe, &[5, 6, 7, 2, 1][..]), (Category::Bar, &[3]), (Category::Gym, &[])]
    {
        assert_eq!(ids(storage, Nearby { category: Some(category), ..here }).await, expected);
    }
    for (radius_m, expected) in [
        (-1.0, &[][..]),
        (0.0, &[]),
        (111.0, &[]),
        (200.0, &[5, 6, 7, 2]),
        (60_000.0, &[5, 6, 7, 2, 3, 1, 4]),
        (f64::MAX, &[5, 6, 7, 2, 3, 1, 4]),
    ] {
        assert_eq!(ids(storage, Nearby { radius_m, ..here }).await, expected, "{radius_m}");
    }
    assert_eq!(ids(storage, near(10.0, 50.002, 0.0)).await, [3]);
}

pub async fn locations_are_near_across_the_antimeridian_and_the_poles(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let places = [
        place(1, "a", 179.999, 10.0),
        place(2, "b", -179.998, 10.0),
        place(3, "c", 180.0, 10.0),
        place(4, "d", -180.0, 10.001),
        place(5, "e", 0.0, 90.0),
        place(6, "f", 100.0, 89.9),
        place(7, "g", -80.0, 89.8),
        place(8, "h", 0.0, 85.0),
        place(9, "i", 0.0, -90.0),
    ];
    storage.load_locations(&places).await.unwrap();
    for longitude in [180.0, -180.0] {
        assert_eq!(ids(storage, near(longitude, 10.0, 1000.0)).await, [3, 1, 4, 2]);
        assert_eq!(ids(storage, near(longitude, 10.0, 0.0)).await, [3]);
    }
    assert_eq!(ids(storage, near(179.9995, 10.0, 200.0)).await, [1, 3, 4]);
    assert_eq!(ids(storage, near(-179.999, 10.0, 150.0)).await, [2, 3]);
    assert_eq!(ids(storage, near(17.0, 90.0, 30_000.0)).await, [5, 6, 7]);
    assert_eq!(ids(storage, near(100.0, 89.95, 20_000.0)).await, [6, 5]);
    assert_eq!(ids(storage, near(0.0, 84.0, 560_000.0)).await, [8]);
    assert_eq!(ids(storage, near(0.0, 84.0, 700_000.0)).await, [8, 7, 5, 6]);
    let [far @ .., farthest] = &ids(storage, near(0.0, 90.0, f64::INFINITY)).await[..] else {
        panic!("nothing")
    };
    assert_eq!((far.len(), *farthest), (8, 9));
}

pub async fn distances_use_the_exact_coordinates_everywhere(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // xorshift: the same numbers each time.
    let mut fraction = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut point = move || (fraction() * 360.0 - 180.0, fraction() * 180.0 - 90.0);
    let places: Vec<Location> = (1..=400)
        .map(|id| {
            let (longitude, latitude) = point();
            place(id, "a", longitude, latitude)
        })
        .collect();
    storage.load_locations(&places).await.unwrap();
    for number in 0..40 {
        let (longitude, latitude) = point();
        let near = near(longitude, latitude, 300_000.0 * f64::from(number * number / 8));
        let distance = |place: &Location| near.center.distance_m(place.coordinates);
        let mut expected: Vec<&Location> =
            places.iter().filter(|place| distance(place) <= near.radius_m).collect();
        expected.sort_by(|one, other| distance(one).total_cmp(&distance(other)));
        let expected: Vec<u64> = expected.iter().map(|place| place.id.get()).collect();
        let found = listed_places(50, async |page| storage.nearby(near, page).await).await;
        let found: Vec<u64> = found.into_iter().map(|(_, id)| id).collect();
        assert_eq!(found, expected, "{near:?}");
    }
}

/// Returns places of a town: most in streets, some in one house, as in a mall.
fn town() -> Vec<Location> {
    let at = |id: u64| match id {
        1..=200 => (10.0, 50.0),
        _ => (10.0 + (id % 40) as f64 / 2000.0, 50.0 + (id / 40) as f64 / 3000.0),
    };
    let one = |id| {
        let (longitude, latitude) = at(id);
        let category = if id.is_multiple_of(50) { Category::Gym } else { Category::Cafe };
        Location { category, ..place(id, "a", longitude, latitude) }
    };
    (1..=1200).map(one).collect()
}

pub async fn a_page_of_many_locations_is_found_from_near_and_from_far(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let places = town();
    storage.load_locations(&places).await.unwrap();
    for (longitude, latitude, radius_m) in
        [(10.0, 50.0, 500.0), (10.01, 50.005, f64::INFINITY), (-60.0, -20.0, f64::INFINITY)]
    {
        for category in [None, Some(Category::Gym)] {
            let near = Nearby { category, ..near(longitude, latitude, radius_m) };
            let is_wanted = |place: &&Location| category.is_none_or(|is| place.category == is);
            let rank = |place: &Location| {
                let rank = (near.center.distance_m(place.coordinates) * 1000.0) as u64;
                (rank, place.id.get())
            };
            let mut expected: Vec<_> = places.iter().filter(is_wanted).map(rank).collect();
            expected.retain(|(rank, _)| *rank as f64 / 1000.0 <= radius_m);
            expected.sort_unstable();
            for limit in [70, 2000] {
                let list =
                    listed_places(limit, async |page| storage.nearby(near, page).await).await;
                assert_eq!(list, expected, "{near:?}");
            }
        }
    }
}

pub async fn locations_behind_many_of_another_category_are_found(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let one = |id: u64| {
        let (category, east) =
            if id <= 1500 { (Category::Cafe, 0.0) } else { (Category::Gym, 3.0) };
        let longitude = 10.0 + east + (id % 50) as f64 / 2000.0;
        Location { category, ..place(id, "a", longitude, 50.0 + (id / 50) as f64 / 3000.0) }
    };
    let places: Vec<Location> = (1..=2700).map(one).collect();
    storage.load_locations(&places).await.unwrap();
    let gyms = Nearby { category: Some(Category::Gym), ..near(10.0, 50.0, f64::INFINITY) };
    let rank = |place: &Location| {
        ((gyms.center.distance_m(place.coordinates) * 1000.0) as u64, place.id.get())
    };
    let mut expected: Vec<_> = places[1500..].iter().map(rank).collect();
    expected.sort_unstable();
    for limit in [100, 2000] {
        let list = listed_places(limit, async |page| storage.nearby(gyms, page).await).await;
        assert_eq!(list, expected);
    }
}
