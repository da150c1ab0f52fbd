//! Tests of tables, and of another service's exports.

use std::collections::HashMap;

use super::*;
use crate::domain::{Category, Location, LocationId, StarRating, UserId, Visit};

const CHECKIN: &str = r#"{"id":"1609602085397-0","userId":1,"locationId":2,"starRating":3}"#;

fn import(file: &str, text: &str) -> (Import, Vec<String>) {
    let mut importer = Importer::new(u64::MAX);
    importer.add_file(file, text);
    let (import, errors) = importer.finish();
    (import, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn columns_may_be_in_any_order() {
    let text = "\u{feff}starRating,userId,id,locationId\r\n3,1,1609602085397-0,2\r\n";
    let json = import("a.json", &format!(r#"{{"checkins":[{CHECKIN}]}}"#));
    assert_eq!(import("A.CSV", text), json);
    assert_eq!(json.1, [""; 0]);
}

#[test]
fn spreadsheets_have_other_separators_and_names() {
    let json = import("a.json", &format!(r#"{{"checkins":[{CHECKIN}]}}"#));
    for table in [
        "userId;locationId;starRating;id\r\n1;2;3;1609602085397-0\r\n",
        "sep=;\r\nuserId;locationId;starRating;id\r\n1;2;3;1609602085397-0\r\n",
        "sep=,\nuserId,locationId,starRating,id\n1,2,3,1609602085397-0\n",
        "\nUser ID\tLocation ID\tStar rating\tID\n1\t2\t3\t1609602085397-0\n",
        "\"user_id\";\"location_id\";\"star_rating\";\"id\";\"location_name\"\n\
         \"1\";\"2\";\"3\";\"1609602085397-0\";\"Bar; Grill, \"\"B\"\"\"\n",
    ] {
        let (import, errors) = import("a.csv", table);
        assert_eq!((import, errors), json, "{table}");
    }
    let (_, errors) =
        import("a.csv", "sep=;\nuserId;locationId;starRating;id\n1;2;9;1-0\n1;2,3;4;2-0\n");
    assert!(
        errors.contains(&"a.csv: line 3, starRating: must be an integer from 0 to 5".to_owned()),
        "{errors:?}"
    );
    let (_, errors) = import("a.csv", "userId;user_id;starRating;locationId;id;mood\n");
    assert_eq!(
        errors,
        [
            "a.csv: line 1, userId: must be given once",
            "a.csv: line 1, mood: must not be a column: a table has check-ins alone"
        ]
    );
}

/// Spreadsheets end lines with `\r\n`.
#[test]
fn the_line_of_a_row_is_that_of_an_editor() {
    for end in ["\n", "\r\n"] {
        let lines = [
            "",
            "userId,locationId,starRating,id,comment",
            "1,2,9,1-0,",
            "",
            "\"1\",2,8,2-0,\"two",
            "lines\"",
            "1,2,7,3-0,",
        ];
        let (_, errors) = import("a.csv", &lines.join(end));
        let rating = errors.iter().filter(|error| error.contains("starRating"));
        let lines: Vec<&str> = rating.filter_map(|error| error.split(',').next()).collect();
        assert_eq!(lines, ["a.csv: line 3", "a.csv: line 5", "a.csv: line 7"], "{end:?}");
    }
}

#[test]
fn files_of_other_kinds_are_refused_as_such() {
    let lists = "must be an object with the lists users, locations, locationDetails or checkins";
    let xml = "must be JSON or a table of check-ins (CSV); it is XML, such as GPX or KML";
    for (file, text, rule) in [
        ("a.geojson", r#"{"type":"FeatureCollection","features":[]}"#, lists),
        ("a.json", r#"{"id":1,"firstName":"Al"}"#, lists),
        ("a.ndjson", r#"{"userId":1,"locationId":2,"starRating":3}"#, lists),
        ("a.gpx", "<?xml version=\"1.0\"?>\n<gpx/>", xml),
        ("a.json", "\n<html></html>", xml),
        (
            "a.ics",
            "BEGIN:VCALENDAR\r\n",
            "must be JSON or a table of check-ins (CSV); it is a calendar or a contact",
        ),
    ] {
        let mut importer = Importer::new(u64::MAX);
        importer.add_file(file, text);
        assert_eq!(importer.counts().damaged_files, 1, "{text}");
        let errors: Vec<_> = importer.finish().1.iter().map(ToString::to_string).collect();
        assert_eq!(errors, [format!("{file}: {rule}")]);
    }
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
fn a_check_in_may_have_an_id_and_a_time() {
    let text = "id,time,userId,locationId,starRating\n\
        1609602085009-4,1609602085005,1,2,3\n1609602085008-1,,1,2,3\n";
    let (import, errors) = import("a.csv", text);
    assert_eq!(errors, [""; 0]);
    let times: Vec<_> = import.checkins.iter().map(|c| (c.id.to_string(), c.time_ms)).collect();
    let expected = [("1609602085009-4", 1_609_602_085_005), ("1609602085008-1", 1_609_602_085_008)];
    assert_eq!(times, expected.map(|(id, time_ms)| (id.to_owned(), time_ms)));
}

#[test]
fn wrong_columns_are_named_and_nothing_is_loaded() {
    for (header, expected) in [
        (
            "userId,locationId,starRating,id,colour",
            &["colour: must not be a column: a table has check-ins alone"][..],
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
fn wrong_rows_are_reported_and_the_rest_is_loaded() {
    let text = "id,userId,locationId,starRating\n1-0,1,2,3\n\"2-0\",1,2,6\n3-0,1,2\n,1,2,3\n\
        4-0,x,2,3\n1-0,1,2,3\n5-0,1,2,\"\n6\"\n7-0,1,2,3\n"
        .replace("-0", "609602085397-0");
    let (import, errors) = import("a.csv", &text);
    let ids: Vec<_> = import.checkins.iter().map(|checkin| checkin.id.to_string()).collect();
    assert_eq!(ids, ["1609602085397-0", "7609602085397-0"]);
    assert_eq!(
        errors,
        [
            "a.csv: line 3, starRating: must be an integer from 0 to 5",
            "a.csv: line 4: must have 4 cells, as many as there are columns",
            "a.csv: line 5, id: must be given if there is no time",
            "a.csv: line 6, userId: must be an integer from 1 to 9007199254740991",
            "a.csv: line 7, id: must not be the id of a.csv: line 2, too",
            "a.csv: line 8, starRating: must be an integer from 0 to 5",
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

/// Finds the locations of the visits, without any existing location. Returns the new ones.
fn resolve(importer: &mut Importer, new_places: Option<Category>) -> Vec<Location> {
    let visits = importer.take_visits(false);
    let venues = Venues::of(&visits, &HashMap::new(), Places::default(), new_places);
    let (user, stars) = (UserId::try_from(77).unwrap(), StarRating::try_from(4).unwrap());
    add_visits(importer, visits, &venues, user, stars);
    venues.missing.into_iter().map(|(_, location)| location).collect()
}

#[test]
fn check_ins_of_an_export_are_read_if_they_are_complete() {
    let (import, made, errors) = visits(VISITS, Some(Category::Cafe));
    assert_eq!(
        errors,
        [
            "checkins1.json: items[2].venue.location: must be given",
            "checkins1.json: items[3].createdAt: must be a time like 2016-01-01 12:00:00, \
             or seconds since 1970",
            "checkins1.json: items[4].venue: must be given",
            "checkins1.json: items[5]: must be an object",
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
fn check_ins_at_unknown_locations_are_left_out() {
    let mut importer = Importer::new(u64::MAX);
    importer.add_file("checkins1.json", VISITS);
    let made = resolve(&mut importer, None);
    let left_out: Vec<String> = importer.unknown_venues().iter().map(ToString::to_string).collect();
    let (import, errors) = importer.finish();
    assert_eq!((import.visits.len(), made.len(), errors.len(), left_out.len()), (0, 0, 4, 2));
    let rule = "checkins1.json: items[0].venue: must be a location within 250 m; \
                none is named \"Quillback\"";
    assert_eq!(left_out[0], rule);
}

#[test]
fn an_export_may_be_a_list() {
    let list = r#"[{"createdAt": 1451649601, "lat": 1, "lng": 2, "venue": {"name": "Q"}}]"#;
    let (import, ..) = visits(list, Some(Category::Bar));
    assert_eq!(import.visits.len(), 1);
    assert_eq!(visits(r#"{"items": []}"#, None).2, [""; 0]);
    // A list of anything else, or a text that is not JSON, is reported like other files.
    assert!(visits("[]", None).2[0].contains("line 1"));
    assert!(visits("[{\"id\": 1}]", None).2[0].contains("line 1"));
    assert!(visits("{\"items\": [", None).2[0].contains("line 1"));
}

#[test]
fn a_shout_is_the_comment() {
    let comment = |shout: &str| {
        let item = format!(
            r#"[{{"createdAt": 1451649601, "lat": 1, "lng": 2, "shout": {shout}, "venue": {{"name": "Q"}}}}]"#
        );
        let (import, _, errors) = visits(&item, Some(Category::Bar));
        assert_eq!(errors, [""; 0]);
        import.visits[0].checkin.comment.as_ref().map(ToString::to_string)
    };
    assert_eq!(comment(r#""Two\nlines \u2764""#).as_deref(), Some("Two lines ❤"));
    for none in ["null", r#""""#, "5", r#""\ud83d""#] {
        assert_eq!(comment(none), None, "{none}");
    }
}

#[test]
fn check_ins_that_were_not_public_are_private_or_left_out() {
    let read = |fields: &str| {
        let item = format!(
            r#"[{{"createdAt": 1451649601, "lat": 1, "lng": 2{fields},
                 "venue": {{"name": "Q"}}}}]"#
        );
        let mut importer = Importer::new(u64::MAX);
        importer.add_file("checkins1.json", &item);
        let visits = importer.take_visits(false);
        let (user, stars) = (UserId::try_from(77).unwrap(), StarRating::try_from(4).unwrap());
        let made = |visits: &[SwarmVisit]| {
            let venues =
                Venues::of(visits, &HashMap::new(), Places::default(), Some(Category::Bar));
            assert_eq!(venues.found, [], "{fields}");
            venues.missing.len()
        };
        let places = made(&visits);
        // At a place that exists, because another check-in there was public.
        let public = visits.iter().cloned();
        let public = public.map(|visit| SwarmVisit { visibility: Visibility::Public, ..visit });
        let both: Vec<SwarmVisit> = visits.iter().cloned().chain(public).collect();
        assert_eq!(made(&both), visits.len());
        let venues = Venues::of(&both, &HashMap::new(), Places::default(), Some(Category::Bar));
        add_visits(&mut importer, visits, &venues, user, stars);
        let NotPublic { private, for_friends } = importer.not_public();
        let (import, errors) = importer.finish();
        assert_eq!(errors, [], "{fields}");
        let visits = import.visits.iter().map(|visit| visit.checkin.is_private).collect::<Vec<_>>();
        assert_eq!(places, visits.iter().filter(|is_private| !**is_private).count(), "{fields}");
        (visits, private, for_friends)
    };
    for public in [
        "",
        r#", "private": false"#,
        // Some programs write this when they save an export again.
        r#", "private": null, "visibility": null"#,
        r#", "private": 0"#,
        r#", "private": "false""#,
        r#", "visibility": "public""#,
    ] {
        assert_eq!(read(public), (vec![false], 0, 0), "{public}");
    }
    for private in [
        r#", "private": true"#,
        r#", "private": "yes""#,
        r#", "private": 1"#,
        r#", "offTheGrid": true"#,
        r#", "off_the_grid": "yes""#,
        r#", "private": {}"#,
        r#", "private": true, "private": false"#,
        r#", "private": false, "visibility": "private""#,
        r#", "Private": true"#,
        r#", "is_private": true"#,
        r#", "isPrivate": true"#,
        r#", "visibility": "Private""#,
        r#", "visibility": """#,
        r#", "visibility": ["public"]"#,
        r#", "private": true, "visibility": "closeFriends""#,
        // A person's home.
        r#", "venue": {"name": "Home", "private": true}"#,
        r#", "venue": {"name": "Home", "location": {"lat": 1, "lng": 2, "isFuzzed": true}}"#,
        // The visibility cannot be read.
        r#", "venue": {"name": "Q", "location": {"\ud83d": 1}}"#,
    ] {
        assert_eq!(read(private), (vec![true], 0, 0), "{private}");
    }
    // No other error is reported for a private check-in.
    assert_eq!(read(r#", "private": true, "createdAt": "x""#), (vec![], 1, 0));
    assert_eq!(read(r#", "visibility": "closeFriends""#), (vec![], 0, 1));
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

#[test]
fn wrong_fields_of_an_export_have_a_rule() {
    let form = "must be a time like 2016-01-01 12:00:00, or seconds since 1970";
    let early = "must be seconds since 1970, from the year 2000 on, or a time like";
    let past = "must not be before the year 2000";
    let (latitude, longitude) = ("must be a number from -90 to 90", "must be a number from -180");
    for (field, value, place, rule) in [
        ("createdAt", "\"soon\"", ".createdAt", form),
        ("createdAt", "true", ".createdAt", form),
        ("createdAt", "0", ".createdAt", early),
        ("createdAt", "-5", ".createdAt", early),
        ("createdAt", "45000", ".createdAt", early),
        (
            "createdAt",
            "1451649601000",
            ".createdAt",
            "must be in seconds since 1970, and looks like",
        ),
        ("createdAt", "\"1999-12-31 23:59:59\"", ".createdAt", past),
        ("createdAt", "\"1969-12-31T23:59:59Z\"", ".createdAt", past),
        ("createdAt", "null", ".createdAt", "must be given"),
        ("lat", "95", ".lat", latitude),
        ("lat", "\"52.37\"", ".lat", latitude),
        ("lat", "1e999", ".lat", latitude),
        ("lng", "-180.5", ".lng", longitude),
        ("lng", "null", ".lng", "must be given"),
        ("venue", "\"Q\"", ".venue", "must be an object"),
        ("venue", "null", ".venue", "must be given"),
        ("venue", "{}", ".venue.name", "must be given"),
        ("venue", "{\"name\": 7}", ".venue.name", "must be a text"),
        ("venue", "{\"name\": \" \"}", ".venue.name", "must not be empty or blank"),
        ("venue", "{\"name\": \"\\ud83d\"}", ".venue.name", "must not contain half a character"),
    ] {
        let item: Vec<String> = [("createdAt", "1451649601"), ("lat", "1"), ("lng", "2")]
            .into_iter()
            .chain([("venue", "{\"name\": \"Q\"}")])
            .map(|(name, right)| format!("{name:?}: {}", if name == field { value } else { right }))
            .collect();
        // The second check-in makes it a Swarm export, whatever the first contains.
        let list = format!("[{{{}}}, {{\"createdAt\": 1, \"private\": true}}]", item.join(", "));
        let (import, _, errors) = visits(&list, Some(Category::Bar));
        let start = format!("checkins1.json: items[0]{place}: {rule}");
        assert!(errors.len() == 1 && errors[0].starts_with(&start), "{errors:?}: {start}");
        assert_eq!(import.visits.len(), 0);
    }
    let location = |location: &str| {
        let item = format!(
            r#"[{{"createdAt": 1451649601, "venue": {{"name": "Q", "location": {location}}}}}]"#
        );
        visits(&item, Some(Category::Bar)).2.concat()
    };
    for (text, rule) in [
        ("{}", "venue.location: must be given"),
        ("7", "venue.location: must be an object"),
        (r#"{"lat": 95, "lng": 5}"#, "venue.location.lat: must be a number from -90 to 90"),
        (r#"{"lat": 5}"#, "venue.location.lng: must be given"),
    ] {
        assert!(location(text).contains(rule), "{text}: {}", location(text));
    }
}

#[test]
fn other_fields_of_an_export_may_have_any_value() {
    let deep = "[".repeat(500) + &"]".repeat(500);
    for (field, time) in [
        ("\"shout\": \"cut in the middle \\ud83d\"", "1451649601"),
        ("\"score\": 1e999", "1451649601.0"),
        (&format!("\"deep\": {deep}"), "\"1451649601\""),
        ("\"lat\": 95", "\"2016-01-01 12:00:01\""),
    ] {
        let venue = r#"{"name": "Q", "location": {"lat": 1, "lng": 2}}"#;
        let list = format!("[{{{field}, \"createdAt\": {time}, \"venue\": {venue}}}]");
        let (import, _, errors) = visits(&list, Some(Category::Bar));
        assert_eq!(errors, [""; 0], "{field}");
        assert_eq!(import.visits[0].checkin.time_ms, 1_451_649_601_000, "{field}");
    }
}

#[test]
fn exports_and_our_own_files_are_distinguished() {
    let item = r#"{"createdAt": 1451649601, "lat": 1, "lng": 2, "venue": {"name": "Q"}}"#;
    // A damaged check-in does not hide the others.
    let (import, _, errors) = visits(&format!("[7, {item}]"), Some(Category::Bar));
    assert_eq!((import.visits.len(), errors.len()), (1, 1));
    for (text, error) in [
        (r#"{"items": 7}"#.to_owned(), "items: must be a list"),
        (format!(r#"{{"items": [], "items": [{item}]}}"#), "items: must be given once"),
        (format!(r#"{{"items": [{item}], "users": [7]}}"#), "users[0]: must be an object"),
    ] {
        let errors = visits(&text, Some(Category::Bar)).2;
        assert_eq!(errors[0], format!("checkins1.json: {error}"));
    }
}
