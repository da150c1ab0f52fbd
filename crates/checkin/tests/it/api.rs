//! The read API, on both stores with the demo data.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{Client, Method, Program, Response};

use crate::harness::{EMAIL, Service, Site, USER, expect_plain, expect_problem, problem_flaw};

/// More than there are of anything in the demo data, and still a number of JavaScript.
const FAR: u64 = 9_007_199_254_740_991;

/// A site whose check-ins are all counted, and Al, who is logged in.
struct Scene {
    site: Site,
    api: Service,
    al: Client,
    _auth: Service,
    _processor: Program,
}

impl Scene {
    async fn on(site: Site) -> Scene {
        let (auth, api) = (site.auth(&[]), site.api(&[]));
        let processor = site.processor(&[]);
        let al = api.client_like(&auth.logged_in().await);
        // A batch is finished when its entries wait no longer: its histories and lists are written one after another.
        site.wait_for_doctor(&[], " 0 check-ins wait to be applied");
        Scene { site, api, al, _auth: auth, _processor: processor }
    }
}

/// A test of each store.
macro_rules! on_both_stores {
    ($($check:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $check() {
                super::$check(super::Scene::on(super::Site::sqlite()).await).await;
            })*
        }
        #[cfg(feature = "external-tests")]
        mod on_redis {
            $(#[tokio::test]
            async fn $check() {
                super::$check(super::Scene::on(super::Site::redis()).await).await;
            })*
        }
    };
}

on_both_stores! {
    people
    places
    lists_come_to_an_end
    nearness
    ratings_near_a_point
    ones_own_history
    each_visitor_sees_only_what_is_allowed
    what_is_not_there
    hostile_inputs
    what_is_still_right_is_not_sent_again
    methods
}

#[track_caller]
fn good(response: Response) -> Value {
    let content_type = response.header("content-type").unwrap_or_default().to_owned();
    let text = String::from_utf8_lossy(&response.body);
    assert_eq!((response.status, content_type.as_str()), (200, "application/json"), "{text}");
    assert!(!text.contains("password") && !text.contains("$argon2"), "{text}");
    response.json()
}

/// All records of a list, page by page.
async fn all(client: &mut Client, first: &str) -> Vec<Value> {
    let (mut records, mut next) = (Vec::new(), Some(first.to_owned()));
    while let Some(path) = next {
        let response = client.get(&path).await;
        next = response.header("link").map(|link| {
            let address = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"");
            address.unwrap_or_else(|| panic!("{link}")).to_owned()
        });
        records.extend(good(response).as_array().unwrap().iter().cloned());
    }
    records
}

fn numbers(records: &[Value], field: &str) -> Vec<u64> {
    records.iter().map(|record| record[field].as_u64().unwrap_or_default()).collect()
}

async fn people(mut scene: Scene) {
    let al = &mut scene.al;
    let me = good(al.get("/api/user/77").await);
    assert_eq!((&me["id"], &me["email"]), (&json!(USER), &json!(EMAIL)));
    assert_eq!(me["firstName"], "Al");
    assert!(me["lastCheckin"].is_u64() && me["lastSeenAt"].is_u64(), "{me}");
    assert_eq!(good(al.get("/api/user/%37%37").await), me);
    assert_eq!(good(al.get("/api/user/email/AL.Appelhof@example.com").await), me);
    assert_eq!(good(al.get("/api/user/77/fullname").await), json!({"fullName": "Al Appelhof"}));
    let other = good(al.get("/api/user/78").await);
    assert_eq!(other.get("email"), None, "{other}");
    let fields: BTreeSet<&str> = other.as_object().unwrap().keys().map(String::as_str).collect();
    let shown = ["firstName", "id", "lastCheckin", "lastName", "lastSeenAt", "numCheckins"];
    assert_eq!(fields, BTreeSet::from(shown));

    let place = me["lastSeenAt"].as_u64().unwrap();
    let there = all(al, &format!("/api/users/at/{place}?limit=3")).await;
    assert!(there.iter().all(|user| user["lastSeenAt"] == place), "{there:?}");
    assert!(numbers(&there, "id").contains(&USER));
    let visits = good(al.get(&format!("/api/location/{place}/visitors?limit=100")).await);
    let visits = visits.as_array().unwrap();
    assert!(numbers(visits, "timestamp").is_sorted_by(|a, b| a >= b));
    let mine = visits.iter().find(|visit| visit["userId"] == USER).unwrap();
    assert_eq!((&mine["firstName"], &mine["timestamp"]), (&me["firstName"], &me["lastCheckin"]));
}

async fn places(scene: Scene) {
    let mut anybody = scene.api.client();
    let place = good(anybody.get("/api/location/5").await);
    let (longitude, latitude) = (&place["longitude"], &place["latitude"]);
    assert_eq!(place["location"], format!("{longitude},{latitude}"));
    let ratings: Vec<u64> =
        place["ratings"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    assert_eq!(ratings.len(), 6);
    assert!(ratings.iter().sum::<u64>() > 0);
    assert_eq!(place.get("hours"), None);
    assert_eq!(good(anybody.get("/api/location/5?withDetails=false").await), place);

    let details = good(anybody.get("/api/location/5/details").await);
    let mut both = place.as_object().unwrap().clone();
    both.extend(details.as_object().unwrap().clone());
    let with_details = good(anybody.get("/api/location/5?withDetails=true").await);
    assert_eq!(with_details, Value::Object(both));
    let some = good(anybody.get("/api/location/5/details?sections=phone,hours").await);
    assert_eq!(some, json!({"phone": details["phone"], "hours": details["hours"]}));
    for (day, name) in [("0", "Monday"), ("6", "Sunday"), ("friday", "Friday")] {
        let hours = good(anybody.get(&format!("/api/location/5/hours/{day}")).await);
        assert_eq!(hours["day"], name);
        assert!(details["hours"].as_array().unwrap().contains(&hours), "{hours}");
    }
    let found = good(anybody.get("/api/locations/search?q=CAF%C3%A9+aba").await);
    assert!(found.as_array().unwrap().is_empty());
    let words = place["name"].as_str().unwrap().replace(' ', "%20");
    let found = all(&mut anybody, &format!("/api/locations/search?q={words}")).await;
    assert!(numbers(&found, "id").contains(&5), "{found:?}");
}

async fn lists_come_to_an_end(mut scene: Scene) {
    let al = &mut scene.al;
    let mut ids = BTreeSet::new();
    for category in ["retail", "cafe", "restaurant", "bar", "hair", "gym"] {
        let path = format!("/api/locations/bycategory/{category}?limit=7");
        let places = all(al, &path).await;
        assert!(numbers(&places, "id").is_sorted());
        assert!(places.iter().all(|place| place["category"] == category));
        ids.extend(numbers(&places, "id"));
    }
    assert_eq!(ids.len(), 220);
    let top = all(al, "/api/locations/bycheckins?limit=100&period=all").await;
    assert!(numbers(&top, "numCheckins").is_sorted_by(|a, b| a >= b));
    assert_eq!(numbers(&top, "id").into_iter().collect::<BTreeSet<_>>().len(), top.len());
    let top = all(al, "/api/users/bycheckins?limit=100").await;
    assert!(numbers(&top, "numCheckins").is_sorted_by(|a, b| a >= b));
    let recent = all(al, "/api/users/recent?limit=99").await;
    assert!(numbers(&recent, "lastCheckin").is_sorted_by(|a, b| a >= b));
    assert_eq!(numbers(&recent, "id").into_iter().collect::<BTreeSet<_>>().len(), recent.len());
    all(al, "/api/users/bycheckins?period=week").await;
    all(al, "/api/locations/bycheckins?period=week").await;

    let first = al.get(&format!("/api/checkins/0/{FAR}")).await;
    assert!(first.header("link").is_some());
    assert_eq!(good(first).as_array().unwrap().len(), 1000);
    let checkins = all(al, &format!("/api/checkins/0/{FAR}?limit=999")).await;
    assert_eq!(checkins.len(), 19_735);
    let times = numbers(&checkins, "timestamp");
    let (start, end) = (times[100], times[110]);
    let between = all(al, &format!("/api/checkins/{start}/{end}?limit=3")).await;
    let expected: Vec<_> =
        checkins.iter().zip(&times).filter(|(_, time)| (start..=end).contains(time)).collect();
    assert!(between.iter().eq(expected.into_iter().map(|(checkin, _)| checkin)));
    let own = checkins.iter().find(|checkin| checkin["userId"] == USER).unwrap();
    assert_eq!((&own["firstName"], &own["lastName"]), (&json!("Al"), &json!("Appelhof")));
    assert!(checkins.iter().all(|checkin| checkin["firstName"].is_string()));
    let latest = good(al.get("/api/checkins/latest?limit=1000").await);
    assert!(latest.as_array().unwrap().iter().eq(checkins.iter().rev().take(1000)));
    assert_eq!(good(al.get("/api/checkins/latest").await).as_array().unwrap().len(), 20);
    let all_latest = all(al, "/api/checkins/latest?limit=1000").await;
    assert!(all_latest.iter().eq(checkins.iter().rev()));

    // A cursor is of its list alone, and a limit is not part of that.
    let link = al.get("/api/users/recent?limit=2").await.header("link").unwrap().to_owned();
    let cursor = link.split("cursor=").nth(1).unwrap().split('>').next().unwrap();
    good(al.get(&format!("/api/users/recent?cursor={cursor}&limit=5")).await);
    for other in ["/api/users/bycheckins", "/api/checkins/latest", "/api/locations/bycategory/bar"]
    {
        let response = al.get(&format!("{other}?cursor={cursor}")).await;
        expect_problem(&response, 400, &["cursor"]);
    }
}

async fn nearness(scene: Scene) {
    let mut anybody = scene.api.client();
    let here = "/api/locations/37.78/-122.42";
    let near = all(&mut anybody, &format!("{here}/2.5?limit=9")).await;
    let distances: Vec<f64> =
        near.iter().map(|place| place["distance"].as_f64().unwrap()).collect();
    assert!(distances.is_sorted() && distances.iter().all(|miles| *miles <= 2.5), "{distances:?}");
    assert!(near.len() > 20, "{}", near.len());
    let everything = all(&mut anybody, &format!("{here}/12500?limit=100")).await;
    assert_eq!(everything.len(), 220);
    let ids = |places: &[Value]| numbers(places, "id").into_iter().collect::<BTreeSet<_>>();
    let bars = all(&mut anybody, &format!("{here}/12500?category=bar&minStars=4")).await;
    let wanted = |place: &&Value| {
        place["category"] == "bar" && place["averageStars"].as_f64().unwrap() >= 4.0
    };
    let expected: Vec<Value> = everything.iter().filter(wanted).cloned().collect();
    assert_eq!(ids(&bars), ids(&expected));
    let open = all(&mut anybody, &format!("{here}/12500?openNow=true&limit=4")).await;
    assert!(open.len() < everything.len());
    assert!(ids(&open).is_subset(&ids(&everything)));
    assert_eq!(ids(&open).len(), open.len());
    let any = all(&mut anybody, &format!("{here}/12500?openNow=false&limit=100")).await;
    assert_eq!(any.len(), 220);
    for edge in ["90/180", "-90/-180", "0/180", "0/-180"] {
        good(anybody.get(&format!("/api/locations/{edge}/10")).await);
    }
}

/// A request checks a limited number of locations, however few of them are wanted.
async fn ratings_near_a_point(scene: Scene) {
    let place = |id: u64| {
        let num_stars = if id == 2150 { 5 } else { 79 };
        let num_checkins = if id == 2150 { 1 } else { 20 };
        let point = format!("150.0,{}", -40.0 - (id as f64) / 10_000.0);
        json!({"id": id, "name": "Far", "category": "gym", "location": point,
               "numCheckins": num_checkins, "numStars": num_stars})
    };
    let places: Vec<Value> = (1001..=2150).map(place).collect();
    let path = scene.site.directory.path().join("places.json");
    std::fs::write(&path, json!({"locations": places}).to_string()).unwrap();
    assert_eq!(scene.site.run("load", &[path.to_str().unwrap()]).code, 0);
    let mut anybody = scene.api.client();
    let here = "/api/locations/-40/150/12500?category=gym";
    let first = anybody.get(&format!("{here}&minStars=5")).await;
    assert!(first.header("link").is_some(), "{:?}", first.header("link"));
    assert_eq!(good(first), json!([]));
    let best = all(&mut anybody, &format!("{here}&minStars=5&limit=3")).await;
    assert_eq!(best.first().map(|place| &place["id"]), Some(&json!(2150)));
    // An average of 3.95 is displayed as 4.0.
    let good_ones = all(&mut anybody, &format!("{here}&minStars=4&limit=100")).await;
    let expected: Vec<u64> = (1001..=2150).collect();
    assert_eq!(numbers(&good_ones, "id")[..1150], expected);
    let named = all(&mut anybody, "/api/locations/search?q=fa&limit=100").await;
    let named: Vec<u64> = numbers(&named, "id").into_iter().filter(|id| *id > 1000).collect();
    assert_eq!(named, expected);
    let none = all(&mut anybody, &format!("{here}&minStars=5&openNow=true")).await;
    assert!(none.iter().all(|place| place["averageStars"] == 5.0), "{none:?}");
}

async fn ones_own_history(mut scene: Scene) {
    let al = &mut scene.al;
    let history = all(al, "/api/user/77/checkins?limit=9").await;
    let mut times = numbers(&history, "timestamp");
    assert!(times.is_sorted_by(|a, b| a >= b) && times.len() > 20, "{times:?}");
    assert!(history.iter().all(|checkin| checkin["userId"] == USER));
    assert!(history.iter().all(|checkin| checkin.get("firstName").is_none()));
    let statistics = good(al.get("/api/user/77/statistics").await);
    assert_eq!(statistics["numCheckins"], history.len());
    assert_eq!(statistics["lastCheckin"], times[0]);
    assert_eq!(statistics["firstCheckin"], times.pop().unwrap());
    let places = numbers(&history, "locationId").into_iter().collect::<BTreeSet<_>>();
    assert_eq!(statistics["numLocations"], places.len());
    let categories = statistics["categories"].as_object().unwrap();
    let counted: u64 = categories.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted, history.len() as u64);
    assert!(statistics["longestStreak"].as_u64().unwrap() >= 1, "{statistics}");
    let days = statistics["days"].as_object().unwrap();
    let counted: u64 = days.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted, history.len() as u64, "the demo data are of the last ninety days");
}

/// What needs a session.
const PRIVATE: [&str; 11] = [
    "/api/user/77",
    "/api/user/77/fullname",
    "/api/user/email/al.appelhof@example.com",
    "/api/users/recent",
    "/api/users/bycheckins",
    "/api/users/at/5",
    "/api/checkins/0/1",
    "/api/checkins/latest",
    "/api/checkins/stream",
    "/api/location/5/visitors",
    "/api/user/77/statistics",
];

async fn each_visitor_sees_only_what_is_allowed(mut scene: Scene) {
    let mut anybody = scene.api.client();
    for path in PRIVATE {
        // Whoever is not logged in hears that first, whatever else is wrong.
        for path in [path, &format!("{path}?nonsense")] {
            expect_plain(&anybody.get(path).await, 401, "Authentication required.");
        }
    }
    expect_plain(&anybody.get("/api/user/0").await, 401, "Authentication required.");
    for path in ["/api/user/78/checkins", "/api/user/78/statistics", "/api/user/999999/statistics"]
    {
        expect_problem(&scene.al.get(path).await, 403, &[]);
    }
    let session = scene.al.get("/api/user/77").await;
    assert_eq!(session.header("cache-control"), Some("no-store"));
}

async fn what_is_not_there(mut scene: Scene) {
    for path in [
        "/api/user/999999",
        &format!("/api/user/{FAR}/fullname"),
        "/api/user/email/nobody@example.com",
        "/api/users/at/999999",
        "/api/location/999999",
        "/api/location/999999/details",
        "/api/location/999999/hours/0",
        "/api/location/999999/weather",
        "/api/location/999999/visitors",
        "/api/user/",
        "/api/user",
        "/api/locations/1/2",
        "/api/checkins/1",
        "/api/location/5/hours/",
        "/api/nothing",
    ] {
        let response = scene.al.get(path).await;
        assert_eq!(problem_flaw(&response, 404, &[]), None, "{path}");
    }
}

async fn hostile_inputs(mut scene: Scene) {
    let many = "hours,".repeat(1300);
    let long = "x".repeat(300);
    let ids =
        ["0", "-1", "01", "1.0", "1e3", "9223372036854775808", "+1", "abc", "%20", "1%00", "%ff"];
    let mut table: Vec<(String, &str)> = Vec::new();
    for id in ids {
        for path in [
            "user/{}",
            "user/{}/fullname",
            "user/{}/checkins",
            "location/{}",
            "location/{}/details",
            "location/{}/hours/0",
            "location/{}/weather",
            "location/{}/visitors",
        ] {
            table.push((path.replace("{}", id), "id"));
        }
        table.push((format!("users/at/{id}"), "locationId"));
    }
    for day in ["-1", "7", "0.5", "00", "Mon", "%00"] {
        table.push((format!("location/5/hours/{day}"), "day"));
    }
    for sections in ["", ",,", "..", "$", "phone,", "Phone", "phone,id", &many] {
        table.push((format!("location/5/details?sections={sections}"), "sections"));
    }
    for category in ["pub", "Cafe", "cafe%7D%7C@x:%7B", "cafe%20"] {
        table.push((format!("locations/bycategory/{category}"), "category"));
        table.push((format!("locations/1/2/3?category={category}"), "category"));
    }
    for latitude in ["90.0001", "-91", "NaN", "inf", "1e3", "-122.27", "+1", "0x1", "%00"] {
        table.push((format!("locations/{latitude}/0/1"), "lat"));
    }
    for longitude in ["180.0001", "-181", "nan", "Infinity", "1e3", ".5"] {
        table.push((format!("locations/0/{longitude}/1"), "lng"));
    }
    for radius in ["0", "-1", "1e9", "9223372036854775808", "five", "0.0"] {
        table.push((format!("locations/0/0/{radius}"), "radius"));
    }
    for stars in ["6", "-1", "1%5D", "4.5", ""] {
        table.push((format!("locations/0/0/1?minStars={stars}"), "minStars"));
    }
    for (start, end, wrong) in [
        ("-", "1", "start"),
        ("+", "1", "start"),
        ("0-1", "1", "start"),
        ("0", "18446744073709551616", "end"),
        ("-1", "1", "start"),
        ("2", "1", "end"),
        ("0", "(1", "end"),
    ] {
        table.push((format!("checkins/{start}/{end}"), wrong));
    }
    for query in ["limit=0", "limit=101", "limit=-1", "limit=", "limit=1.0", "limit=1&limit=1"] {
        table.push((format!("users/recent?{query}"), "limit"));
    }
    for cursor in ["", "0", "AAAA", "%00", "..%2f", &long] {
        table.push((format!("users/recent?cursor={cursor}"), "cursor"));
        table.push((format!("checkins/0/9?cursor={cursor}"), "cursor"));
    }
    for (path, wrong) in [
        ("checkins/latest?limit=1001", "limit"),
        ("location/5?withDetails=yes", "withDetails"),
        ("location/5?withdetails=true", "withdetails"),
        ("locations/0/0/1?openNow=1", "openNow"),
        ("locations/0/0/1?openNow=true&openNow=true", "openNow"),
        ("users/bycheckins?period=year", "period"),
        ("locations/bycheckins?period=", "period"),
        ("locations/search", "q"),
        ("locations/search?q=", "q"),
        ("locations/search?q=%20%00", "q"),
        ("locations/search?q=a&x=%ff", "x"),
        ("user/email/nobody", "email"),
        ("user/email/a%20b@c", "email"),
        ("user/77?x=1", "x"),
        ("user/77?__proto__=1", "__proto__"),
        ("location/5/weather?units=metric", "units"),
        ("checkins/stream?lastEventId=7", "lastEventId"),
        ("checkins/stream?lastEventId=", "lastEventId"),
    ] {
        table.push((path.to_owned(), wrong));
    }
    let mut wrong = Vec::new();
    for (path, field) in table {
        let response = scene.al.get(&format!("/api/{path}")).await;
        let flaw = problem_flaw(&response, 400, &[field]);
        wrong.extend(flaw.map(|flaw| format!("{path}: {flaw}")));
    }
    assert_eq!(wrong, [""; 0]);
    good(scene.al.get("/api/user/77").await);
}

async fn what_is_still_right_is_not_sent_again(scene: Scene) {
    let mut anybody = scene.api.client();
    for path in
        ["/api/location/5", "/api/location/5/details", "/api/location/5/hours/0", "/openapi.json"]
    {
        let first = anybody.get(path).await;
        assert!(first.header("cache-control").unwrap().starts_with("public, max-age="), "{path}");
        let tag = first.header("etag").unwrap().to_owned();
        let again = anybody.request(Method::GET, path).header("if-none-match", &tag).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        let other =
            anybody.request(Method::GET, path).header("if-none-match", "\"x\"").send().await;
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
    }
}

async fn methods(mut scene: Scene) {
    for path in ["/api/user/77", "/api/location/5", "/api/users/recent", "/openapi.json", "/docs/"]
    {
        let get = scene.al.get(path).await;
        let head = scene.al.request(Method::HEAD, path).send().await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for name in ["content-type", "content-length", "cache-control", "etag", "link"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let response = scene.al.request(method.clone(), path).send().await;
            assert_eq!(problem_flaw(&response, 405, &[]), None, "{method} {path}");
            assert!(response.header("allow").unwrap().contains("GET"), "{method} {path}");
        }
    }
    let docs = scene.api.client().get("/docs").await;
    assert_eq!((docs.status, docs.header("location")), (303, Some("/docs/")));
    let page = scene.api.client().get("/docs/").await;
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self';"));
    let script = scene.api.client().get("/docs/swagger-initializer.js").await;
    assert!(script.text().contains("/openapi.json"), "{}", script.text());
    let document = good(scene.api.client().get("/openapi.json").await);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 24, "{:?}", paths.keys());
    drop(scene.site);
}
