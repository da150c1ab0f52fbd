//! A record that cannot be read costs itself and nothing beside it: other programs write to the
//! store, and people with redis-cli and sqlite3.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlite_writer::rusqlite::Connection;
use testkit::{Client, Response, Stream};
use tokio::sync::Mutex;

use crate::harness::{CHECKIN, PATIENCE, Service, Site, accepted, at, expect_problem};

struct Scene {
    site: Site,
    api: Service,
    al: Mutex<Client>,
    auth: Service,
}

impl Scene {
    async fn on(site: Site) -> Scene {
        site.count_all();
        let (auth, api) = (site.auth(&[]), site.api(&[]));
        let al = Mutex::new(api.client_like(&auth.logged_in().await));
        Scene { site, api, al, auth }
    }

    async fn get(&self, path: &str) -> Response {
        self.al.lock().await.get(path).await
    }

    async fn ids(&self, path: &str) -> Vec<u64> {
        let response = self.get(path).await;
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 200, "{path}: {text}");
        let list: Value = response.json();
        list.as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
    }

    /// The lists go on without a record, which alone is an error of the server's.
    async fn expect_without(&self, record: u64, alone: &str, lists: &[&str], why: &str) {
        expect_problem(&self.get(&format!("{alone}{record}")).await, 500, &[]);
        for list in lists {
            let ids = self.ids(list).await;
            assert!(ids.len() == 5 && !ids.contains(&record), "{why}: {list}: {ids:?}");
        }
    }

    /// Lists beside a location tell nothing of it: they need that it is there.
    async fn expect_beside(&self, place: u64, why: &str) {
        for list in [format!("/api/users/at/{place}"), format!("/api/location/{place}/visitors")] {
            let response = self.get(&list).await;
            assert_eq!(response.status, 200, "{why}: {list}: {}", response.text());
        }
    }

    /// One line for each of these, and no value.
    fn expect_logged(&self, records: &[String]) {
        // The lines are on their way when the answer has come.
        for record in records {
            self.api.program.wait_for_line(record, PATIENCE);
        }
        let log = self.api.program.text(Stream::Stdout);
        for record in records {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(record)).collect();
            assert_eq!(lines.len(), 1, "{record}: {lines:#?}");
        }
        assert!(!log.contains("hunter2"), "{log}");
    }

    /// What needs no more than a part of a record is there when the rest cannot be read.
    async fn expect_part(&self, path: &str, why: &str) {
        let response = self.get(path).await;
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 200, "{why}: {path}: {text}");
    }

    /// The doctor names this user, and compares all others.
    fn expect_verified_but(&self, user: u64) {
        let doctor = self.site.run("doctor", &["--verify"]);
        let named = format!("PROBLEM  user {user}: the stored record cannot be read");
        let problems = doctor.stdout.lines().filter(|line| line.starts_with("PROBLEM"));
        assert_eq!(problems.collect::<Vec<_>>(), [named], "{}", doctor.stdout);
        assert!(doctor.code == 1 && doctor.stdout.contains("are the sums over the log"));
    }

    /// Al at the store, though not all of them can be read: logs in and checks in.
    async fn expect_check_in(&self, why: &str) {
        let receiver = self.site.receiver(&["--duplicate-window", "0"]);
        let al = self.auth.logged_in().await;
        accepted(&receiver.client_like(&al).post(CHECKIN, &at(2, 5)).await);
        let export = self.site.run("export", &["--user", "77"]);
        assert_eq!(export.code, 0, "{why}: {}", export.stderr);
        let sessions = self.site.run("sessions", &["list", "--user", "77"]);
        assert_eq!(sessions.code, 0, "{why}: {}", sessions.stderr);
    }
}

const USERS: [&str; 2] = ["/api/users/recent?limit=5", "/api/users/bycheckins?limit=5"];

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn on_redis() {
    let site = Site::redis();
    // The doctor has nothing else to say.
    site.redis_cli::<()>(&["CONFIG", "SET", "appendonly", "yes"]);
    let scene = Scene::on(site).await;
    let ask = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        scene.site.redis_cli::<redis::Value>(&words);
    };
    let (latest, top) = (scene.ids(USERS[0]).await[0], scene.ids(USERS[1]).await[0]);
    for user in BTreeSet::from([latest, top]) {
        let key = format!("ncc:user:{user}");
        ask(&format!("COPY {key} kept REPLACE"));
        for change in ["email hunter2", "id 9007199254740000", "id hunter2"] {
            ask(&format!("HSET {key} {change}"));
            scene.expect_without(user, "/api/user/", &USERS, change).await;
            ask(&format!("COPY kept {key} REPLACE"));
        }
        ask(&format!("HDEL {key} email"));
        scene.expect_without(user, "/api/user/", &USERS, "no email").await;
        ask(&format!("SET {key} hunter2"));
        scene.expect_without(user, "/api/user/", &USERS, "another type").await;
        ask(&format!("COPY kept {key} REPLACE"));
        // What is not needed, or has a meaning of its own when it cannot be read.
        ask(&format!("HSET {key} numCheckins hunter2 lastSeenAt hunter2 lastCheckin hunter2"));
        assert_eq!(scene.get(&format!("/api/user/{user}")).await.status, 200);
        assert!(scene.ids(USERS[0]).await.len() == 5);
        ask(&format!("COPY kept {key} REPLACE"));
    }
    let places =
        ["/api/locations/bycheckins?limit=5", "/api/locations/37.8044/-122.2711/9?limit=5"];
    let place = scene.ids(places[0]).await[0];
    let key = format!("ncc:location:{place}");
    ask(&format!("COPY {key} kept REPLACE"));
    for change in ["category hunter2", "location hunter2", "location 999,9"] {
        ask(&format!("HSET {key} {change}"));
        scene.expect_without(place, "/api/location/", &places, change).await;
        scene.expect_beside(place, change).await;
    }
    ask(&format!("SET {key} hunter2"));
    scene.expect_without(place, "/api/location/", &places, "another type").await;
    scene.expect_beside(place, "another type").await;
    ask(&format!("COPY kept {key} REPLACE"));

    ask(&format!("SET ncc:locationdetails:{place} {{hunter2"));
    let details = format!("/api/location/{place}/details");
    expect_problem(&scene.get(&details).await, 500, &[]);
    let open = format!("{}&openNow=true", places[1]);
    assert_eq!(scene.get(&open).await.status, 200);

    for (key, score) in [("users:recent", "9e15"), ("locations:bycheckins", "9e15")] {
        ask(&format!("ZADD ncc:{key} {score} hunter2 {score} 0"));
    }
    ask("GEOADD ncc:locations:geo -122.2711 37.8044 hunter2");
    for list in USERS.into_iter().chain(places) {
        assert_eq!(scene.ids(list).await.len(), 5, "{list}");
    }
    scene.expect_logged(&[
        format!("ncc:user:{latest}\""),
        format!("ncc:location:{place}\""),
        format!("ncc:locationdetails:{place}\""),
    ]);

    // The log is counted beyond a check-in of what is no user.
    ask(&format!("SET ncc:user:{latest} hunter2"));
    ask(&format!("XADD ncc:checkins * userId {latest} locationId {place} starRating 1"));
    scene.site.count_all();
    let letters = scene.site.run("dead-letters", &["list"]).stdout;
    assert!(letters.contains(&format!("\"userId\":\"{latest}\"")), "{letters}");
    scene.expect_verified_but(latest);
}

#[tokio::test]
async fn on_sqlite() {
    let scene = Scene::on(Site::sqlite()).await;
    let change = |sql: &str| {
        let file = Connection::open(scene.site.directory.path().join("checkin.db")).unwrap();
        file.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        file.execute_batch(sql).unwrap();
    };
    let (latest, top) = (scene.ids(USERS[0]).await[0], scene.ids(USERS[1]).await[0]);
    change("CREATE TABLE kept_users AS SELECT * FROM users");
    change("CREATE TABLE kept_locations AS SELECT * FROM locations");
    for user in BTreeSet::from([latest, top]) {
        for set in ["email = 'hunter2'", "first_name = CAST(x'ff' AS TEXT)", "last_seen_at = -1"] {
            change(&format!("UPDATE users SET {set} WHERE id = {user}"));
            scene.expect_without(user, "/api/user/", &USERS, set).await;
            change(&format!(
                "UPDATE users SET (email, first_name, last_seen_at) =
                     (SELECT email, first_name, last_seen_at FROM kept_users WHERE id = {user})
                 WHERE id = {user}"
            ));
        }
    }
    let places = ["/api/locations/bycheckins?limit=5"];
    let place = scene.ids(places[0]).await[0];
    let near = "/api/locations/37.8044/-122.2711/9?limit=5";
    for set in ["category = 'hunter2'", "longitude = 999", "name = CAST(x'ff' AS TEXT)"] {
        change(&format!("UPDATE locations SET {set} WHERE id = {place}"));
        scene.expect_without(place, "/api/location/", &places, set).await;
        assert_eq!(scene.ids(near).await.len(), 5, "{set}");
        scene.expect_beside(place, set).await;
        change(&format!(
            "UPDATE locations SET (category, longitude, name) =
                 (SELECT category, longitude, name FROM kept_locations WHERE id = {place})
             WHERE id = {place}"
        ));
    }
    change(&format!("INSERT OR REPLACE INTO location_details VALUES ({place}, '{{hunter2')"));
    expect_problem(&scene.get(&format!("/api/location/{place}/details")).await, 500, &[]);
    assert_eq!(scene.get(&format!("{near}&openNow=true")).await.status, 200);
    scene.expect_logged(&[
        format!("users {latest}\""),
        format!("locations {place}\""),
        format!("location_details {place}\""),
    ]);

    // Entries that are no check-ins are passed over by readers, and do not stop the processor.
    change(&format!(
        "INSERT INTO checkins SELECT max(ms) + 1, 0, max(ms) + 1, {latest}, {place}, 9, NULL FROM checkins;
         INSERT INTO checkins SELECT max(ms) + 1, 0, max(ms) + 1, -1, {place}, 1, NULL FROM checkins;
         INSERT INTO checkins SELECT max(ms) + 1, 0, max(ms) + 1, {latest}, {place}, 1, NULL FROM checkins;
         UPDATE checkpoint SET appended = appended + 3"
    ));
    change(&format!("UPDATE users SET first_name = CAST(x'ff' AS TEXT) WHERE id = {latest}"));
    let latest_checkins = scene.get("/api/checkins/latest?limit=2").await;
    let list = latest_checkins.json();
    assert!(latest_checkins.status == 200 && list[0]["starRating"] == 1, "{list}");
    assert!(list[0].get("firstName").is_none(), "{list}");
    assert_eq!(list.as_array().unwrap().len(), 2);
    scene.site.count_all();
    let letters = scene.site.run("dead-letters", &["list"]).stdout;
    assert!(letters.contains("2 dead letters"), "{letters}");

    change(&format!("UPDATE users SET num_checkins = -1 WHERE id = {latest}"));
    scene.expect_verified_but(latest);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_log_that_takes_no_more_entries_is_said_to_be_so() {
    let site = Site::redis();
    let receiver = site.receiver(&["--no-auth"]);
    let last = format!("{0}-{0}", u64::MAX);
    let entry =
        ["XADD", "ncc:checkins", &last, "userId", "1", "locationId", "1", "starRating", "1"];
    let _: String = site.redis_cli(&entry);
    let visit = serde_json::json!({"userId": 77, "locationId": 2, "starRating": 3});
    let answer = receiver.client().post("/api/checkin", &visit).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("the log takes no more entries"), "{}", answer.text());
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn parts_of_a_record_on_redis() {
    let scene = Scene::on(Site::redis()).await;
    let ask = |command: &str| {
        let words: Vec<&str> = command.split(' ').collect();
        scene.site.redis_cli::<redis::Value>(&words);
    };
    ask("HSET ncc:user:5 email hunter2");
    scene.expect_part("/api/user/5/fullname", "no address").await;
    let export = scene.site.run("export", &["--user", "5"]);
    assert_eq!(export.code, 0, "{}", export.stderr);
    ask("HSET ncc:user:77 numCheckins hunter2 lastSeenAt hunter2");
    scene.expect_check_in("figures").await;
    ask("HSET ncc:location:3 location hunter2");
    scene.expect_part("/api/user/77/statistics", "no coordinates").await;
    ask(
        r#"SET ncc:locationdetails:3 {"description":7,"phone":"1","website":"x:y","hours":[{"day":"Monday","hours":"9-17"}]}"#,
    );
    parts_of_details(&scene).await;
}

#[tokio::test]
async fn parts_of_a_record_on_sqlite() {
    let scene = Scene::on(Site::sqlite()).await;
    let change = |sql: &str| {
        let file = Connection::open(scene.site.directory.path().join("checkin.db")).unwrap();
        file.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        file.execute_batch(sql).unwrap();
    };
    change("UPDATE users SET email = 'hunter2', last_seen_at = -1 WHERE id = 5");
    scene.expect_part("/api/user/5/fullname", "no address").await;
    let export = scene.site.run("export", &["--user", "5"]);
    assert_eq!(export.code, 0, "{}", export.stderr);
    change(
        "UPDATE users SET first_name = CAST(x'ff' AS TEXT), num_checkins = -1, last_seen_at = -1 WHERE id = 77",
    );
    scene.expect_check_in("names and figures").await;
    change("UPDATE locations SET longitude = 999 WHERE id = 3");
    scene.expect_part("/api/user/77/statistics", "no coordinates").await;
    change(
        r#"UPDATE location_details SET details =
           '{"description":7,"phone":"1","website":"x:y","hours":[{"day":"Monday","hours":"9-17"}]}'
           WHERE location_id = 3"#,
    );
    parts_of_details(&scene).await;
}

async fn parts_of_details(scene: &Scene) {
    for path in ["hours/Monday", "details?sections=hours", "details?sections=phone,socials"] {
        scene.expect_part(&format!("/api/location/3/{path}"), "no description").await;
    }
    for path in ["details", "details?sections=description", "details?sections=phone,website"] {
        let response = scene.get(&format!("/api/location/3/{path}")).await;
        expect_problem(&response, 500, &[]);
    }
}
