//! Tables, and exports of another service.

use std::collections::HashMap;

use super::*;
use crate::domain::{Category, LocationId, StarRating, UserId};

const CHECKIN: &str = r#"{"id":"1609602085397-0","userId":1,"locationId":2,"starRating":3}"#;

fn import(file: &str, text: &str) -> (Import, Vec<String>) {
    let mut importer = Importer::new(u64::MAX);
    importer.add_file(file, text);
    let (import, errors) = importer.finish();
    (import, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn columns_stand_in_any_order() {
    let text = "\u{feff}starRating,userId,id,locationId\r\n3,1,1609602085397-0,2\r\n";
    let json = import("a.json", &format!(r#"{{"checkins":[{CHECKIN}]}}"#));
    assert_eq!(import("A.CSV", text), json);
    assert_eq!(json.1, [""; 0]);
}

#[test]
fn times_have_several_forms() {
    let text = "userId,locationId,starRating,time\n\
        1,2,3,2021-01-02T15:41:25.397Z\n1,2,4,1609602085397\n1,2,5,2021-01-02T16:41:25.397+01:00\n";
    let (import, errors) = import("a.csv", text);
    assert_eq!(errors, [""; 0]);
    assert!(import.checkins.iter().all(|checkin| checkin.time_ms == 1_609_602_085_397));
    assert!(import.checkins.iter().all(|checkin| checkin.id.ms == 1_609_602_085_397));
    let [one, two, three] = import.checkins.as_slice() else { panic!("{import:?}") };
    assert!(one.id.seq != two.id.seq && two.id.seq != three.id.seq);
}

#[test]
fn a_visit_has_the_same_id_whenever_it_is_loaded() {
    let row = "userId,locationId,starRating,time\n1,2,3,1609602085397\n";
    let many = format!("{row}2,2,3,1609602085397\n");
    assert_eq!(import("a.csv", row).0.checkins[0], import("b.csv", &many).0.checkins[0]);
    let (import, errors) = import("a.csv", &format!("{row}1,2,3,1609602085397\n"));
    assert_eq!((import.checkins.len(), errors.len()), (1, 1));
    assert_eq!(errors[0], "a.csv: line 3: must not be the same visit as a.csv: line 2");
}

#[test]
fn an_id_and_a_time_may_stand_together() {
    let text = "id,time,userId,locationId,starRating\n9-4,5,1,2,3\n8-1,,1,2,3\n";
    let (import, errors) = import("a.csv", text);
    assert_eq!(errors, [""; 0]);
    let times: Vec<_> = import.checkins.iter().map(|c| (c.id.to_string(), c.time_ms)).collect();
    assert_eq!(times, [("9-4".to_owned(), 5), ("8-1".to_owned(), 8)]);
}

#[test]
fn wrong_columns_are_named_and_nothing_is_taken() {
    for (header, expected) in [
        (
            "userId,locationId,starRating,id,colour",
            &["colour: must not be there: records have no such field"][..],
        ),
        ("userId,userId,locationId,starRating,id", &["userId: must be given once"]),
        ("userId,locationId,starRating", &["id: must be given"]),
        (
            "time",
            &["userId: must be given", "locationId: must be given", "starRating: must be given"],
        ),
    ] {
        let (import, errors) = import("a.csv", &format!("{header}\n1,2,3,4-0,5\n"));
        let expected: Vec<_> =
            expected.iter().map(|rule| format!("a.csv: line 1, {rule}")).collect();
        assert_eq!((import.checkins.len(), errors), (0, expected));
    }
    assert!(import("a.csv", "").1[0].contains("must name the columns"));
}

#[test]
fn wrong_rows_have_their_line_and_the_rest_is_taken() {
    let text = "id,userId,locationId,starRating\n1-0,1,2,3\n\"2-0\",1,2,6\n3-0,1,2\n,1,2,3\n\
        4-0,x,2,3\n1-0,1,2,3\n5-0,1,2,\"\n6\"\n7-0,1,2,3\n";
    let (import, errors) = import("a.csv", text);
    let ids: Vec<_> = import.checkins.iter().map(|checkin| checkin.id.to_string()).collect();
    assert_eq!(ids, ["1-0", "7-0"]);
    assert_eq!(
        errors,
        [
            "a.csv: line 3, starRating: must be an integer from 0 to 5",
            "a.csv: line 4: must have 4 cells, as many as there are columns",
            "a.csv: line 5, id: must be given",
            "a.csv: line 6, userId: must be an integer",
            "a.csv: line 7, id: must not be the id of a.csv: line 2, too",
            "a.csv: line 8, starRating: must be an integer",
        ]
    );
}

const VISITS: &str = r#"{"count": 5, "items": [
    {"id": "56867d5e498e4d4b2a1b2c3d", "createdAt": "2016-01-01 12:00:00.000000", "type": "checkin",
     "timeZoneOffset": -480, "shout": "ok", "photos": {"count": 0}, "lat": 37.8, "lng": -122.27,
     "venue": {"id": "4b1", "name": " Quillback ", "url": "https://x", "location": {"lat": 37.8, "lng": -122.27}}},
    {"createdAt": 1451649601, "lat": 37.8, "lng": -122.27, "venue": {"name": "quillback"}},
    {"createdAt": "2016-01-01T12:00:02Z", "venue": {"name": "Quillback"}},
    {"createdAt": "yesterday", "venue": {"name": "Quillback"}},
    {"type": "shout", "createdAt": 1451649603},
    7
]}"#;

fn visits(text: &str, new_places: Option<Category>) -> (Import, Vec<Location>, Vec<String>) {
    let mut importer = Importer::new(u64::MAX);
    importer.add_file("checkins1.json", text);
    let made = resolve(&mut importer, new_places);
    let (import, errors) = importer.finish();
    (import, made, errors.iter().map(ToString::to_string).collect())
}

/// Puts the visits to their places, of which there are none before. Gives the new ones.
fn resolve(importer: &mut Importer, new_places: Option<Category>) -> Vec<Location> {
    let visits = importer.take_visits(false);
    let venues = Venues::of(&visits, &HashMap::new(), Places::default(), new_places);
    let (user, stars) = (UserId::try_from(77).unwrap(), StarRating::try_from(4).unwrap());
    add_visits(importer, visits, &venues, user, stars);
    venues.missing.into_iter().map(|(_, location)| location).collect()
}

#[test]
fn an_export_is_read_as_far_as_it_says_enough() {
    let (import, made, errors) = visits(VISITS, Some(Category::Cafe));
    assert_eq!(
        errors,
        [
            "checkins1.json: items[2].venue.location: must be given",
            "checkins1.json: items[3].createdAt: must be a time like 2016-01-01 12:00:00, \
             or seconds since 1970",
            "checkins1.json: items[4].venue.name: must be given",
            "checkins1.json: items[5].createdAt: must be given",
        ]
    );
    let [place] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((place.id.get(), place.name.as_str()), (1, "Quillback"));
    let visits: Vec<_> =
        import.visits.iter().map(|v| (v.swarm_id.as_deref(), v.checkin.time_ms)).collect();
    let first = (Some("56867d5e498e4d4b2a1b2c3d"), 1_451_649_600_000);
    assert_eq!(visits, [first, (None, 1_451_649_601_000)]);
    for Visit { checkin, .. } in &import.visits {
        assert_eq!((checkin.user.get(), checkin.stars.get()), (77, 4));
        assert_eq!(checkin.location, LocationId::try_from(1).unwrap());
    }
}

#[test]
fn check_ins_at_unknown_places_are_left_out() {
    let mut importer = Importer::new(u64::MAX);
    importer.add_file("checkins1.json", VISITS);
    let made = resolve(&mut importer, None);
    let left_out: Vec<String> = importer.unknown_venues().iter().map(ToString::to_string).collect();
    let (import, errors) = importer.finish();
    assert_eq!((import.visits.len(), made.len(), errors.len(), left_out.len()), (0, 0, 4, 2));
    let rule = "checkins1.json: items[0].venue: must be a place within 250 m; \
                none is named \"Quillback\"";
    assert_eq!(left_out[0], rule);
}

#[test]
fn an_export_may_be_a_list() {
    let list = r#"[{"createdAt": 1451649601, "lat": 1, "lng": 2, "venue": {"name": "Q"}}]"#;
    let (import, ..) = visits(list, Some(Category::Bar));
    assert_eq!(import.visits.len(), 1);
    assert_eq!(visits(r#"{"items": []}"#, None).2, [""; 0]);
    // What is a list of anything else, or no JSON, is told as it always was.
    assert!(visits("[]", None).2[0].contains("line 1"));
    assert!(visits("[{\"id\": 1}]", None).2[0].contains("line 1"));
    assert!(visits("{\"items\": [", None).2[0].contains("line 1"));
}

#[test]
fn what_is_not_for_everybody_is_left_out() {
    let left_out = |fields: &str| {
        let item = format!(
            r#"[{{"createdAt": 1451649601, "lat": 1, "lng": 2{fields},
                 "venue": {{"name": "Q"}}}}]"#
        );
        let mut importer = Importer::new(u64::MAX);
        importer.add_file("checkins1.json", &item);
        let made = resolve(&mut importer, Some(Category::Bar));
        let NotPublic { private, for_friends } = importer.not_public();
        let (import, errors) = importer.finish();
        assert_eq!(errors, [], "{fields}");
        let loaded = 1 - private - for_friends;
        assert_eq!((import.visits.len(), made.len()), (loaded, loaded));
        (private, for_friends)
    };
    for public in ["", r#", "private": false"#, r#", "visibility": "public""#] {
        assert_eq!(left_out(public), (0, 0), "{public}");
    }
    for private in [
        r#", "private": true"#,
        r#", "private": "yes""#,
        r#", "private": "false""#,
        r#", "private": 1"#,
        r#", "private": 0"#,
        r#", "private": null"#,
        r#", "private": {}"#,
        r#", "private": true, "private": false"#,
        r#", "private": false, "visibility": "private""#,
        r#", "Private": true"#,
        r#", "is_private": true"#,
        r#", "isPrivate": true"#,
        r#", "visibility": "Private""#,
        r#", "visibility": null"#,
        r#", "visibility": """#,
        r#", "visibility": ["public"]"#,
        r#", "private": true, "visibility": "closeFriends""#,
        // Somebody's home.
        r#", "venue": {"name": "Home", "private": true}"#,
        r#", "venue": {"name": "Home", "location": {"lat": 1, "lng": 2, "isFuzzed": true}}"#,
        // Whatever else is wrong: nothing is said about it.
        r#", "private": true, "createdAt": "x""#,
    ] {
        assert_eq!(left_out(private), (1, 0), "{private}");
    }
    assert_eq!(left_out(r#", "visibility": "closeFriends""#), (0, 1));
}

#[test]
fn ids_of_swarm_are_short_texts() {
    let item = |id: &str| {
        format!(
            r#"[{{"id": {id}, "createdAt": 1451649601, "lat": 1, "lng": 2, "venue": {{"name": "Q"}}}}]"#
        )
    };
    for (id, expected) in
        [("\"56867d\"", Some("56867d")), ("7", Some("7")), ("null", None), ("\"\"", None)]
    {
        let (import, ..) = visits(&item(id), Some(Category::Bar));
        assert_eq!(import.visits[0].swarm_id.as_deref(), expected, "{id}");
    }
    let long = format!("{:?}", "5".repeat(101));
    for id in ["true", "[]", "\"a b\"", &long] {
        let (.., errors) = visits(&item(id), Some(Category::Bar));
        let rule = "checkins1.json: items[0].id: must be a text of at most 100 characters";
        assert!(errors[0].starts_with(rule) && errors.len() == 1, "{id}: {errors:?}");
    }
}
