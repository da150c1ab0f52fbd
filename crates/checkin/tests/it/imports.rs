//! Check-ins out of tables and out of the export of another service.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use testkit::Client;

use crate::harness::{CHECKIN, Ended, Site, USER};

/// Writes a file beside the store, and loads it.
fn load(site: &Site, file: &str, text: &str, flags: &[&str]) -> Ended {
    let path = site.directory.path().join(file);
    fs::write(&path, text).unwrap();
    site.run("load", &[&[path.to_str().unwrap()], flags].concat())
}

#[track_caller]
fn says(ended: &Ended, words: &str) {
    assert!(ended.stdout.contains(words), "{words:?}: {}{}", ended.stdout, ended.stderr);
}

#[track_caller]
fn fails(ended: &Ended, named: &[&str]) {
    ends(ended, 1, named);
}

/// With flags that do not fit the files.
#[track_caller]
fn misused(ended: &Ended, named: &[&str]) {
    ends(ended, 2, named);
}

#[track_caller]
fn ends(ended: &Ended, code: i32, named: &[&str]) {
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for name in named {
        assert!(ended.stderr.contains(name), "{name}: {}", ended.stderr);
    }
}

/// Every kind of row: the log is past all of them.
const TABLE: &str = "time,userId,locationId,starRating\n\
    2016-01-01T12:00:00Z,77,2,5\n1451649600000,77,3,4\n1451649600000,78,2,5\n";

#[test]
fn a_table_is_loaded_once_on_sqlite() {
    a_table_is_loaded_once(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn a_table_is_loaded_once_on_redis() {
    a_table_is_loaded_once(&Site::redis());
}

fn a_table_is_loaded_once(site: &Site) {
    let loaded = load(site, "visits.csv", TABLE, &[]);
    assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
    says(&loaded, "check-ins: 3 loaded, 0 there already");
    says(&load(site, "visits.csv", TABLE, &[]), "check-ins: 0 loaded, 3 there already");
    // The same visits in another file, with one more.
    let more = format!("{TABLE}2016-01-01T12:00:00Z,79,2,5\n");
    says(&load(site, "more.csv", &more, &[]), "check-ins: 1 loaded, 3 there already");
}

#[test]
fn a_table_goes_into_an_empty_log_once() {
    let site = Site::empty_sqlite();
    let people = json!({
        "users": [{"id": 77, "firstName": "Al", "lastName": "", "email": "al@example.com",
                   "password": "long enough"},
                  {"id": 78, "firstName": "Bo", "lastName": "", "email": "bo@example.com",
                   "password": "long enough"}],
        "locations": [{"id": 2, "name": "Two", "category": "cafe", "location": "0,0"},
                      {"id": 3, "name": "Three", "category": "cafe", "location": "0,1"}],
    });
    assert_eq!(load(&site, "people.json", &people.to_string(), &[]).code, 0);
    says(&load(&site, "visits.csv", TABLE, &[]), "check-ins: 3 loaded");
    says(&load(&site, "visits.csv", TABLE, &[]), "check-ins: 0 loaded, 3 there already");
}

#[test]
fn wrong_rows_are_named_and_the_rest_is_loaded() {
    let site = Site::sqlite();
    let rows =
        load(&site, "rows.csv", &format!("{TABLE}soon,77,2,5\n1451649600000,9999,2,5\n"), &[]);
    says(&rows, "rows.csv: line 5, time: must be a time");
    says(&rows, "rows.csv: line 6, userId: must be the id of a user that exists");
    says(&rows, "check-ins: 3 loaded");
    says(&rows, "3 loaded, 0 there already, 2 refused (5 in the files)");
    fails(&rows, &["2 of 5 records refused; the rest is loaded"]);
    let columns = load(&site, "columns.csv", &format!("colour,{TABLE}"), &[]);
    says(
        &columns,
        "columns.csv: line 1, colour: must not be a column: a table has check-ins alone",
    );
    fails(&columns, &["3 of 3 records refused"]);
}

/// A location of the demo, and what an export would say of a visit there.
fn visit(id: &str, time: Value, name: &str, latitude: f64) -> Value {
    let location = json!({"lat": latitude, "lng": -122.0, "country": "United States"});
    json!({"id": format!("56867d5e498e4d4b2a1b{id}"), "createdAt": time, "type": "checkin",
           "timeZoneOffset": -480, "lat": 1.0, "lng": 1.0,
           "venue": {"id": id, "name": name, "url": "https://example.com", "location": location}})
}

fn export() -> String {
    let items = [
        visit("1", json!("2016-01-03 12:00:00.000000"), "Here", 10.0),
        visit("2", json!(1_451_736_000), "here", 10.001),
        visit("3", json!("2016-01-01 12:00:00.000000"), "Elsewhere", 20.0),
        visit("4", json!("2016-01-01 13:00:00.000000"), "Elsewhere", 20.0),
    ];
    json!({"count": items.len(), "items": items}).to_string()
}

#[test]
fn an_export_is_loaded_once_on_sqlite() {
    an_export_is_loaded_once(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn an_export_is_loaded_once_on_redis() {
    an_export_is_loaded_once(&Site::redis());
}

fn an_export_is_loaded_once(site: &Site) {
    let here = json!({"locations": [
        {"id": 500, "name": "Here", "category": "bar", "location": "-122,10"}]});
    assert_eq!(load(site, "here.json", &here.to_string(), &[]).code, 0);
    let flags = ["--user", "al.appelhof@example.com", "--stars", "4"];
    let known = load(site, "checkins1.json", &export(), &flags);
    let rule = "must be a location within 250 m; none is named \"Elsewhere\"";
    says(&known, &format!("checkins1.json: items[].venue: {rule}"));
    says(&known, "check-ins: 2 loaded, 0 there already, 2 left out (4 in the files)");
    says(&known, "check-ins at unknown locations: 2 left out, --new-places creates them");
    assert_eq!((known.code, known.stderr.as_str()), (0, ""), "{}", known.stdout);

    let user = USER.to_string();
    let flags = ["--user", &user, "--stars", "4", "--new-places", "gym"];
    let all = load(site, "checkins1.json", &export(), &flags);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""), "{}", all.stdout);
    says(&all, "new places: 1 loaded, 0 there already");
    says(&all, "check-ins: 2 loaded, 2 there already");
    let again = load(site, "checkins1.json", &export(), &flags);
    assert!(!again.stdout.contains("new locations"), "{}", again.stdout);
    says(&again, "check-ins: 0 loaded, 4 there already");
}

/// A visit with its id, at a venue, wherever that was then.
fn visit_at(id: &str, hour: u32, venue: &str, latitude: f64) -> Value {
    let time = json!(format!("2016-01-01 {hour:02}:00:00.000000"));
    let mut visit = visit(id, time, &format!("The {venue}"), latitude);
    visit["venue"]["id"] = json!(venue);
    visit
}

const NEW_PLACES: [&str; 6] = ["--user", "77", "--stars", "4", "--new-places", "cafe"];

/// Loads these visits; new locations, and check-ins that were loaded or there.
#[track_caller]
fn load_visits(site: &Site, visits: &[&Value], flags: &[&str]) -> (u64, u64, u64) {
    let loaded = load(site, "checkins1.json", &json!({"items": visits}).to_string(), flags);
    assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
    let counts = |what: &str| {
        let line = loaded.stdout.lines().find(|line| line.starts_with(what)).unwrap_or("");
        let numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
        let numbers: Vec<u64> = numbers.collect();
        (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(0))
    };
    let (new, _) = counts("new places: ");
    let (stored, there) = counts("check-ins: ");
    (new, stored, there)
}

#[test]
fn a_history_may_come_in_any_parts_on_sqlite() {
    a_history_may_come_in_any_parts(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn a_history_may_come_in_any_parts_on_redis() {
    a_history_may_come_in_any_parts(&Site::redis());
}

fn a_history_may_come_in_any_parts(site: &Site) {
    // The venue moves by 444 m, and again.
    let c1 = visit_at("1", 1, "v1", 52.3700);
    let c2 = visit_at("2", 2, "v1", 52.3740);
    let c3 = visit_at("3", 3, "v1", 52.3780);
    let other = visit_at("4", 1, "v2", 52.3700);
    assert_eq!(load_visits(site, &[&c1], &NEW_PLACES), (1, 1, 0));
    assert_eq!(load_visits(site, &[&c2, &c1], &NEW_PLACES), (0, 1, 1));
    assert_eq!(load_visits(site, &[&c3], &NEW_PLACES), (0, 1, 0));
    // In one second at two venues, and in one file twice.
    assert_eq!(load_visits(site, &[&c3, &other, &c2, &other, &c1], &NEW_PLACES), (1, 1, 4));
    // With another rating, without new locations, and for somebody else.
    let again = |user, stars| ["--user", user, "--stars", stars];
    assert_eq!(load_visits(site, &[&c1, &c2, &c3, &other], &again("77", "2")), (0, 0, 4));
    assert_eq!(load_visits(site, &[&other, &c3, &c1], &again("78", "2")), (0, 3, 0));
    assert_eq!(load_visits(site, &[&c1, &c2, &c3, &other], &again("78", "4")), (0, 1, 3));
}

#[test]
fn a_location_of_ours_stays_the_venues_on_sqlite() {
    a_location_of_ours_stays_the_venues(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn a_location_of_ours_stays_the_venues_on_redis() {
    a_location_of_ours_stays_the_venues(&Site::redis());
}

/// Whatever locations come later, and whatever the venue is called then. Its name stands in another
/// normal form here.
fn a_location_of_ours_stays_the_venues(site: &Site) {
    let place = |id: u64, latitude: f64| {
        let location = format!("-122,{latitude}");
        let place = json!({"id": id, "name": "THE CAF\u{c9}", "category": "bar",
                           "location": location});
        let places = json!({"locations": [place]}).to_string();
        assert_eq!(load(site, "places.json", &places, &[]).code, 0);
    };
    place(500, 52.3710);
    let c1 = visit_at("1", 1, "Cafe\u{301}", 52.3700);
    assert_eq!(load_visits(site, &[&c1], &NEW_PLACES), (0, 1, 0));
    place(501, 52.3700);
    let mut c2 = visit_at("2", 2, "Cafe\u{301}", 52.3700);
    c2["venue"]["name"] = json!("Bar");
    assert_eq!(load_visits(site, &[&c2, &c1], &NEW_PLACES[..4]), (0, 1, 1));
    site.count_all();
    let exported = site.run("export", &["--user", "77", "--format", "csv"]);
    assert!(exported.stdout.contains(",500,"), "{exported:?}");
    assert_eq!((exported.code, exported.stdout.contains(",501,")), (0, false));
}

#[test]
fn imports_at_the_same_time_make_one_location_on_sqlite() {
    imports_at_the_same_time_make_one_location(&Site::sqlite());
}

#[cfg(feature = "external-tests")]
#[test]
fn imports_at_the_same_time_make_one_location_on_redis() {
    imports_at_the_same_time_make_one_location(&Site::redis());
}

fn imports_at_the_same_time_make_one_location(site: &Site) {
    let visits: Vec<Value> = (0..20)
        .map(|n| visit_at(&n.to_string(), n, &format!("v{n}"), 50.0 + f64::from(n)))
        .collect();
    let path = site.directory.path().join("checkins1.json");
    fs::write(&path, json!({"items": visits}).to_string()).unwrap();
    let path = path.to_str().unwrap();
    let args = [&[path], &NEW_PLACES[..]].concat();
    let (one, two) = std::thread::scope(|scope| {
        let run = || site.run("load", &args);
        let (one, two) = (scope.spawn(run), scope.spawn(run));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_eq!((one.code, two.code), (0, 0), "{one:?} {two:?}");
    let visits: Vec<&Value> = visits.iter().collect();
    assert_eq!(load_visits(site, &visits, &NEW_PLACES), (0, 0, 20));
    says(&site.run("doctor", &[]), " 240 locations ");
}

#[test]
fn what_was_private_stays_private() {
    let site = Site::sqlite();
    let with = |id: &str, field: &str, value: Value| {
        let mut visit = visit(id, json!("2016-01-01 12:00:00.000000"), "Elsewhere", 20.0);
        visit[field] = value;
        visit
    };
    let secret = {
        let mut visit = with("9", "private", json!(true));
        visit["venue"]["name"] = json!("Secret");
        visit
    };
    let items = json!({"items": [
        with("1", "visibility", json!("public")),
        secret,
        with("2", "private", json!("yes")),
        with("3", "visibility", json!("closeFriends")),
    ]});
    let flags = ["--user", "77", "--stars", "4", "--new-places", "gym"];
    let loaded = load(&site, "checkins1.json", &items.to_string(), &flags);
    assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
    says(&loaded, "new places: 1 loaded");
    says(&loaded, "check-ins: 2 loaded");
    says(&loaded, "check-ins for friends: 1 left out, --friends-too loads them");
    says(&loaded, "private check-ins: 1 left out");
    // Nothing is stored about a place where all check-ins are private.
    assert!(!loaded.stdout.contains("Secret"), "{}", loaded.stdout);
    let export = || site.run("export", &["--user", "77"]).stdout;
    let before = export();
    assert_eq!(before.matches("\"private\":true").count(), 1, "{before}");

    // What became public at Swarm meanwhile stays as it was loaded, and is stored once.
    let items = items.to_string().replace("\"yes\"", "false");
    let again = load(&site, "checkins1.json", &items, &flags);
    says(&again, "check-ins: 0 loaded");
    assert_eq!(export(), before);
}

#[tokio::test]
async fn hours_on_a_door_are_loaded_on_sqlite() {
    hours_on_a_door_are_loaded(&Site::empty_sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn hours_on_a_door_are_loaded_on_redis() {
    hours_on_a_door_are_loaded(&Site::empty_redis()).await;
}

/// As a well-known course application has them: in the morning from 6 to 9, in the afternoon to 4 to
/// 9.
async fn hours_on_a_door_are_loaded(site: &Site) {
    let days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let week = |id: usize| {
        let day = |(index, day)| {
            let (opens, closes) = (6 + (id + index) % 4, 4 + (id * 5 + index) % 6);
            json!({"day": day, "hours": format!("{opens}-{closes}")})
        };
        days.iter().enumerate().map(day).collect::<Value>()
    };
    let place = |id: usize| {
        json!({"id": id, "name": format!("Jan's Location {id}"), "category": "cafe",
               "location": "-122.193849,38.10476999999999"})
    };
    let details = |id: usize| {
        json!({"id": id, "hours": week(id), "socials": [{"instagram": "jan", "twitter": "jan"}],
               "website": "www.example.com", "description": "Lorem ipsum.",
               "phone": "(555) 555-0100"})
    };
    let file = json!({"locations": (1..=215).map(place).collect::<Value>(),
                      "locationDetails": (1..=215).map(details).collect::<Value>()});
    let loaded = load(site, "details.json", &file.to_string(), &[]);
    assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
    says(&loaded, "details: 215 loaded");
    says(&loaded, "details.json: opening hours are read as 12-hour times (9-6 is 9-18)");

    // One wrong day, and hours that show the other clock.
    let mut wrong = details(216);
    wrong["hours"][0]["hours"] = json!("from time to time");
    wrong["hours"][1]["hours"] = json!("9-17");
    wrong["website"] = json!("www.new,york.com");
    let file = json!({"locations": [place(216)], "locationDetails": [wrong]}).to_string();
    let again = load(site, "more.json", &file, &["--hours", "12h"]);
    says(&again, "details: 1 loaded");
    says(&again, "more.json: locationDetails[0].hours: Monday must be hours like");
    says(&again, "more.json: locationDetails[0].hours: Tuesday must have hours from 1 to 12");
    says(&again, "more.json: locationDetails[0].website: must be a web address");
    fails(&again, &["3 fields left out; the rest is loaded"]);
    // What is there already leaves nothing out.
    let third = load(site, "more.json", &file, &["--hours", "12h"]);
    assert_eq!((third.code, third.stderr.as_str()), (0, ""), "{}", third.stdout);
    assert!(!third.stdout.contains("website"), "{}", third.stdout);
    let (api, hours) = (site.api(&[]), |id, day| format!("/api/location/{id}/hours/{day}"));
    for id in [1, 215, 216] {
        let sunday = api.client().get(&hours(id, "Sunday")).await.json();
        let (opens, closes) = (6 + (id + 6) % 4, 16 + (id * 5 + 6) % 6);
        assert_eq!(sunday, json!({"day": "Sunday", "hours": format!("{opens}-{closes}")}));
    }
    assert_eq!(api.client().get(&hours(216, "Monday")).await.status, 404);
    let details = api.client().get("/api/location/216/details").await.json();
    assert_eq!(details["hours"].as_array().unwrap().len(), 5, "{details}");
    assert_eq!(details["description"], "Lorem ipsum.");
}

/// A table that comes again with another `private` neither publishes anything nor leaves it out in silence.
#[test]
fn a_table_does_not_change_who_sees_a_check_in() {
    for site in [Site::sqlite(), Site::redis()] {
        let row = |time: &str, is_private: bool| {
            let columns = "userId,locationId,starRating,time,private";
            format!("{columns}\n78,1,3,2026-09-21T{time}Z,{is_private}\n")
        };
        for (time, first) in [("13:46:40", true), ("14:46:40", false)] {
            says(&load(&site, "a.csv", &row(time, first), &[]), "check-ins: 1 loaded");
            let again = load(&site, "b.csv", &row(time, !first), &[]);
            let rule =
                format!("b.csv: line 2, private: must be {first}: the store has this check-in");
            says(&again, &rule);
            says(&again, "check-ins: 0 loaded, 0 there already, 1 refused");
            assert_eq!(again.code, 1);
            let same = load(&site, "a.csv", &row(time, first), &[]);
            says(&same, "check-ins: 0 loaded, 1 there already");
        }
    }
}

#[test]
fn an_export_needs_a_user_and_a_rating() {
    let site = Site::sqlite();
    let load = |flags: &[&str]| load(&site, "checkins1.json", &export(), flags);
    misused(&load(&[]), &["checkins1.json", "--user"]);
    misused(&load(&["--user", "77"]), &["checkins1.json", "--stars"]);
    fails(&load(&["--user", "9999", "--stars", "4"]), &["--user", "9999"]);
    fails(&load(&["--user", "nobody@example.com", "--stars", "4"]), &["--user"]);
    for (flag, value) in [("--user", "x"), ("--stars", "6"), ("--new-places", "pub")] {
        let wrong = load(&[flag, value]);
        assert_eq!(wrong.code, 2);
        assert!(wrong.stderr.contains(flag), "{}", wrong.stderr);
    }
    let table = site.directory.path().join("visits.csv");
    fs::write(&table, TABLE).unwrap();
    misused(&site.run("load", &[table.to_str().unwrap(), "--stars", "4"]), &["--stars", "Swarm"]);
}

#[tokio::test]
async fn the_demo_counts_once_on_sqlite() {
    the_demo_counts_once(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn the_demo_counts_once_on_redis() {
    the_demo_counts_once(&Site::redis()).await;
}

/// The figures of the demo are the sums over its check-ins, before and after they are counted.
async fn the_demo_counts_once(site: &Site) {
    site.count_all();
    let auth = site.auth(&[]);
    let session: Value = auth.logged_in().await.get("/session").await.json();
    let data = checkin::demo::data(1_793_491_200_000);
    let al = data.users.iter().find(|user| user.id.get() == USER).unwrap();
    assert_eq!(session["user"]["numCheckins"], al.num_checkins);
    assert_eq!(session["user"]["lastCheckin"], al.last_checkin.unwrap());
    assert_eq!(session["user"]["lastSeenAt"], al.last_seen_at.unwrap().get());
}

/// Of one user, at the same millisecond, more than the stores read at once.
const CROWD: u64 = 2_500;

fn crowd() -> String {
    let ids = 10_001..10_001 + CROWD / 5;
    let place = |id: u64| json!({"id": id, "name": "X", "category": "cafe", "location": "0,0"});
    let visit = |n: u64| {
        json!({"id": format!("1609602085397-{n}"), "userId": USER, "locationId": 10_001 + n / 5,
               "starRating": n % 5})
    };
    let places: Vec<Value> = ids.map(place).collect();
    json!({"locations": places, "checkins": (0..CROWD).map(visit).collect::<Vec<_>>()}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_checkins_of_one_millisecond_are_shown_on_sqlite() {
    many_checkins_of_one_millisecond_are_shown(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_checkins_of_one_millisecond_are_shown_on_redis() {
    many_checkins_of_one_millisecond_are_shown(&Site::redis()).await;
}

async fn many_checkins_of_one_millisecond_are_shown(site: &Site) {
    says(&load(site, "crowd.json", &crowd(), &[]), &format!("check-ins: {CROWD} loaded"));
    site.count_all();
    let again = load(site, "crowd.json", &crowd(), &[]);
    says(&again, &format!("check-ins: 0 loaded, {CROWD} there already"));
    let console = site.console(&[]);
    let mut al = console.logged_in().await;

    let ids = history(&mut al).await;
    let different: BTreeSet<&String> = ids.iter().collect();
    assert!(ids.len() as u64 > CROWD && different.len() == ids.len(), "{}", ids.len());
    let export = site.run("export", &["--user", &USER.to_string()]).stdout;
    let export: Value = serde_json::from_str(&export).unwrap();
    assert_eq!(export["checkins"].as_array().unwrap().len(), ids.len());
    let statistics = al.get("/api/user/77/statistics").await.json();
    assert_eq!(statistics["numCheckins"], ids.len());

    let (mut path, mut shown) = ("/me".to_owned(), Vec::new());
    for _ in 0..12 {
        let page = al.get(&path).await;
        shown.extend(between(page.text(), "name=\"id\" value=\"").map(str::to_owned));
        let next = between(page.text(), "href=\"/me?cursor=").next().unwrap();
        path = format!("/me?cursor={next}");
    }
    assert_eq!(shown, ids[..120]);

    let _processor = site.processor(&[]);
    let deleted = &ids[ids.len() / 2];
    assert_eq!(al.delete(&format!("{CHECKIN}/{deleted}")).await.status, 204);
    let rest: Vec<String> = ids.iter().filter(|id| *id != deleted).cloned().collect();
    testkit::until("it is gone", async || history(&mut al).await == rest).await;
}

/// Returns the ids of the user's history, read in pages.
async fn history(al: &mut Client) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), Some("/api/user/77/checkins?limit=100".to_owned()));
    while let Some(path) = next {
        let page = al.get(&path).await;
        let records = page.json();
        ids.extend(
            records.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()),
        );
        next = page.header("link").map(|link| between(link, "<").next().unwrap().to_owned());
    }
    ids
}

/// Returns what follows each of these marks, up to the end of the value.
fn between<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(mark).skip(1).map(|rest| rest.split(['"', '>']).next().unwrap())
}
