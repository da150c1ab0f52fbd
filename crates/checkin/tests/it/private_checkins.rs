//! Check-ins that only their users see.

use serde_json::{Value, json};
use testkit::{Client, Method};

use crate::api_stream::Events;
use crate::harness::{CHECKIN, EMAIL, Site, accepted, at, expect_plain, expect_problem};

fn private(location: u64, stars: u64) -> Value {
    let mut checkin = at(location, stars);
    checkin["private"] = true.into();
    checkin
}

/// What others see, as the other account is shown it.
async fn seen(other: &mut Client) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "/api/checkins/latest?limit=1000",
        "/api/user/77",
        "/api/users/recent",
        "/api/users/bycheckins",
        "/api/users/bycheckins?period=week",
        "/api/users/at/5",
        "/api/location/5",
        "/api/location/5/visitors",
        "/api/locations/bycheckins",
    ] {
        let answer = other.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        seen.push(json!([answer.json(), answer.header("link")]));
    }
    seen
}

/// Makes three private check-ins.
async fn only_the_user_sees_private_check_ins(site: &Site) {
    let console = site.console(&["--newcomer-rate", "0"]);
    let mut al = console.logged_in().await;
    let mut other = console.client();
    let account = json!({
        "firstName": "New", "lastName": "Person", "email": "new@example.com",
        "password": "the words that I know",
    });
    assert_eq!(other.post("/register", &account).await.status, 201);
    let login = json!({"email": "new@example.com", "password": "the words that I know"});
    expect_plain(&other.post("/login", &login).await, 200, "OK");
    site.count_all();
    let before = seen(&mut other).await;
    let mut events = Events::open(&console, &other, None);
    events.start();
    let statistics = al.get("/api/user/77/statistics").await.json();

    let keyed = async |al: &Client, body: &Value| {
        let mut client = console.client_like(al);
        let request = client.request(Method::POST, CHECKIN);
        request.header("idempotency-key", "k").json(body).send().await
    };
    let mut remarked = private(5, 4);
    remarked["comment"] = "for me".into();
    let first = accepted(&keyed(&al, &remarked).await);
    assert_eq!(accepted(&keyed(&al, &remarked).await), first);
    // Without the comment it is another check-in.
    let reused = keyed(&al, &private(5, 4)).await;
    expect_problem(&reused, 422, &["Idempotency-Key"]);
    accepted(&al.post(CHECKIN, &private(6, 4)).await);
    let identical = "Multiple identical checkins are not permitted.";
    expect_plain(&al.post(CHECKIN, &private(6, 4)).await, 422, identical);
    expect_problem(&al.post(CHECKIN, &private(999_999, 4)).await, 422, &["locationId"]);
    for wrong in [json!("true"), json!(1)] {
        let body = json!({"userId": 77, "locationId": 5, "starRating": 4, "private": wrong});
        let refused = al.post(CHECKIN, &body).await;
        expect_problem(&refused, 400, &["private"]);
        assert_eq!(refused.json()["errors"][0]["rule"], "must be true or false");
    }
    let form = "starRating=2&private=true&comment=secret";
    let request = al.request(Method::POST, "/places/7");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(request.body(form).send().await.status, 303);

    // At once, without a processor.
    let history = al.get("/api/user/77/checkins?limit=3").await.json();
    let history = history.as_array().unwrap();
    assert!(history.iter().all(|checkin| checkin["private"] == true), "{history:?}");
    assert_eq!((&history[2]["id"], &history[2]["comment"]), (&json!(first), &json!("for me")));
    let now = al.get("/api/user/77/statistics").await.json();
    assert_eq!(now["numCheckins"], statistics["numCheckins"].as_u64().unwrap() + 3);
    let me = al.get("/me").await;
    assert_eq!(me.text().matches("<span class=\"tag\">private</span>").count(), 3);
    expect_problem(&other.get("/api/user/77/checkins").await, 403, &[]);
    site.count_all();
    assert_eq!(seen(&mut other).await, before);
    let verified = site.run("doctor", &["--verify"]).stdout;
    assert!(verified.contains("users and locations are the sums over the log"), "{verified}");
    assert_eq!(al.get("/api/user/77").await.json()["numCheckins"], before[1][0]["numCheckins"]);

    // Their own export has them, marked, and another store takes them as what they are.
    let export = |site: &Site, format: &str| {
        site.run("export", &["--user", EMAIL, "--format", format]).stdout
    };
    let text = export(site, "json");
    assert_eq!(text.matches("\"private\":true").count(), 3, "{text}");
    let file = site.directory.path().join("al.csv");
    std::fs::write(&file, export(site, "csv")).unwrap();
    let again = site.run("load", &[file.to_str().unwrap()]);
    assert!(again.stdout.contains("check-ins: 0 loaded"), "{}{}", again.stdout, again.stderr);
    let elsewhere = Site::sqlite();
    let loaded = elsewhere.run("load", &[file.to_str().unwrap()]);
    assert!(loaded.stdout.contains("check-ins: 3 loaded"), "{}{}", loaded.stdout, loaded.stderr);
    elsewhere.count_all();
    assert_eq!(export(&elsewhere, "json"), text);

    // A deleted one is gone at once, once, and for good.
    let path = format!("{CHECKIN}/{first}");
    expect_problem(&other.delete(&path).await, 404, &[]);
    for _ in 0..2 {
        assert_eq!(al.delete(&path).await.status, 204);
    }
    let second = history[1]["id"].as_str().unwrap();
    let ended = site.run("checkins", &["delete", "77", second]);
    assert_eq!((ended.code, ended.stdout.trim()), (0, "1 check-ins are deleted, 0 are not"));
    assert_eq!(accepted(&keyed(&al, &remarked).await), first);
    let again = site.run("load", &[file.to_str().unwrap()]);
    assert!(again.stdout.contains("check-ins: 0 loaded"), "{}{}", again.stdout, again.stderr);
    let left = export(site, "json");
    assert_eq!(left.matches("\"private\":true").count(), 1, "{left}");
    assert!(!left.contains("for me"), "{left}");
    let now = al.get("/api/user/77/statistics").await.json();
    assert_eq!(now["numCheckins"], statistics["numCheckins"].as_u64().unwrap() + 1);
    site.count_all();
    assert_eq!(seen(&mut other).await, before);

    // The first event after all of this is the next check-in that is not private.
    let public = accepted(&al.post(CHECKIN, &at(9, 1)).await);
    let event = events.next().unwrap().checkin;
    assert_eq!((&event["id"], event.get("private")), (&json!(public), None));
}

#[tokio::test]
async fn only_the_user_sees_private_check_ins_on_sqlite() {
    only_the_user_sees_private_check_ins(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn only_the_user_sees_private_check_ins_on_redis() {
    only_the_user_sees_private_check_ins(&Site::redis()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn only_the_user_sees_private_check_ins_on_a_cluster() {
    only_the_user_sees_private_check_ins(&Site::redis_cluster_of_three()).await;
}

/// The content of each key, except those of sessions, which change with their use.
#[cfg(feature = "external-tests")]
fn dump(site: &Site) -> std::collections::BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = site.redis_cli(&["KEYS", "*"]);
    let is_kept = |key: &String| !key.contains("session") && !key.contains("attempts");
    // One with a time to live may be gone by now.
    let dump = |key: String| {
        let value: Option<Vec<u8>> = site.redis_cli(&["DUMP", &key]);
        value.map(|value| (key, value))
    };
    keys.into_iter().filter(is_kept).filter_map(dump).collect()
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn private_check_ins_change_no_key_but_those_of_their_user() {
    let site = Site::redis();
    site.count_all();
    let console = site.console(&[]);
    let mut al = console.logged_in().await;
    let before = dump(&site);
    accepted(&al.post(CHECKIN, &private(5, 4)).await);
    let mut remarked = private(6, 4);
    remarked["comment"] = "for me".into();
    let request = al.request(Method::POST, CHECKIN).header("idempotency-key", "k");
    accepted(&request.json(&remarked).send().await);
    let after = dump(&site);
    let mut own: Vec<String> =
        after.keys().filter(|key| !before.contains_key(*key)).cloned().collect();
    let has_changed = |key: &&String| after.get(*key).is_some_and(|now| *now != before[*key]);
    assert_eq!(before.keys().filter(has_changed).collect::<Vec<_>>(), [] as [&String; 0]);
    own.sort();
    let [claims, own @ ..] = &own[..] else { panic!("{own:?}") };
    assert!(claims.starts_with("{ncc:checkins}:keys:"), "{claims}");
    let claim: Vec<String> = site.redis_cli(&["HVALS", claims]);
    assert_eq!(claim, ["private"]);
    let own: Vec<&str> =
        own.iter().map(|key| key.strip_prefix("{ncc:user:77}:").unwrap()).collect();
    let [private, comments, keys, recent] = own[..] else { panic!("{own:?}") };
    assert_eq!([private, comments, recent], ["private", "private-comments", "private-recent"]);
    assert!(keys.starts_with("private-keys:"), "{keys}");

    // They go with the account.
    let made = al.get("/api/user/77/checkins?limit=1").await.json();
    let id = made[0]["id"].as_str().unwrap();
    assert_eq!(al.delete(&format!("{CHECKIN}/{id}")).await.status, 204);
    assert!(keys_of(&site).iter().any(|key| key.ends_with(":private-retracted")));
    assert_eq!(site.run("users", &["delete", "77"]).code, 0);
    testkit::until("nothing private is left", async || keys_of(&site).is_empty()).await;
}

/// The keys of private check-ins.
#[cfg(feature = "external-tests")]
fn keys_of(site: &Site) -> Vec<String> {
    site.keys("*:private*")
}
