//! An account is deleted with everything in it.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Value as Reply;
use serde_json::{Value, json};
use sqlite_writer::rusqlite::Connection;
use sqlite_writer::rusqlite::types::ValueRef;
use testkit::{Client, Method, signature};
#[cfg(feature = "external-tests")]
use testkit::{Proxy, RedisServer, until};

use crate::harness::{
    CHECKIN, COOKIE, PASSWORD as DEMO_PASSWORD, STORE_TIMEOUT, Service, Site, accepted,
    expect_plain,
};

const NAME: &str = "Evangelina";
const SURNAME: &str = "Featherstonehaugh";
const ADDRESS: &str = "eve.featherstonehaugh@example.com";
const PASSWORD: &str = "a long enough password";
const COMMENT: &str = "the quokka was asleep";

/// What must not be left of an account: its id, and its secrets and names.
struct Gone {
    id: u64,
    texts: Vec<String>,
}

impl Gone {
    fn assert_not_in(&self, place: &str, bytes: &[u8]) {
        for text in &self.texts {
            let mut windows = bytes.windows(text.len());
            let is_there = windows.any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
            assert!(!is_there, "{place} has {text:?}");
        }
    }
}

async fn sign_up(console: &Service) -> (Client, u64) {
    let mut client = console.client();
    let account = json!({
        "firstName": NAME, "lastName": SURNAME, "email": ADDRESS, "password": PASSWORD,
    });
    let registered = client.post("/register", &account).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let login = json!({"email": ADDRESS, "password": PASSWORD});
    expect_plain(&client.post("/login", &login).await, 200, "OK");
    (client, registered.json()["user"]["id"].as_u64().unwrap())
}

/// Somebody signs up, checks in, and deletes the account. Returns what must be gone.
async fn somebody_leaves(site: &Site) -> Gone {
    site.count_all();
    let console = site.console(&["--duplicate-window", "0"]);
    let (mut eve, id) = sign_up(&console).await;
    let before: Value = eve.get("/api/location/3").await.json();
    let check_in = async |eve: &mut Client, stars: u64| {
        let body = json!({"userId": id, "locationId": 3, "starRating": stars, "comment": COMMENT});
        let request = eve.request(Method::POST, CHECKIN).json(&body);
        accepted(&request.header("idempotency-key", "a key of Eve").send().await)
    };
    check_in(&mut eve, 5).await;
    for stars in 0..4 {
        let body = json!({"userId": id, "locationId": 3, "starRating": stars});
        accepted(&eve.post(CHECKIN, &body).await);
    }
    let private = json!({
        "userId": id, "locationId": 3, "starRating": 2, "comment": COMMENT, "private": true,
    });
    let mut hidden = String::new();
    for key in ["another key of Eve", "a third one"] {
        let request = eve.request(Method::POST, CHECKIN).json(&private);
        hidden = accepted(&request.header("idempotency-key", key).send().await);
    }
    assert_eq!(eve.delete(&format!("{CHECKIN}/{hidden}")).await.status, 204);
    site.count_all();
    assert_ne!(eve.get("/api/location/3").await.json(), before);
    assert_eq!(eve.put("/settings", &json!({"audience": "nobody"})).await.status, 200);
    let mut other = console.client();
    let login = json!({"email": ADDRESS, "password": PASSWORD});
    expect_plain(&other.post("/login", &login).await, 200, "OK");
    // One check-in is not applied yet.
    let body = json!({"userId": id, "locationId": 4, "starRating": 1, "comment": COMMENT});
    accepted(&eve.post(CHECKIN, &body).await);
    let mut texts = [NAME, SURNAME, ADDRESS, COMMENT].map(str::to_owned).to_vec();
    texts.extend([&eve, &other].map(session_id));

    let confirmation = json!({"currentPassword": PASSWORD});
    let deleted = eve.request(Method::DELETE, "/account").json(&confirmation).send().await;
    expect_plain(&deleted, 200, "OK");
    let users = async || {
        let users = site.run("users", &["list", "--json"]).stdout;
        users.contains(&format!("deleted-{id}@deleted.invalid"))
    };
    testkit::until("the account is erased", users).await;
    let mut al = console.logged_in().await;
    assert_eq!(al.get("/api/location/3").await.json(), before);
    let account: Value = al.get(&format!("/api/user/{id}")).await.json();
    assert_eq!((&account["numCheckins"], &account["lastSeenAt"]), (&json!(0), &Value::Null));
    for path in ["/api/users/recent?limit=100", "/api/users/at/3", "/api/users/at/4"] {
        let list: Value = al.get(path).await.json();
        assert!(list.as_array().unwrap().iter().all(|user| user["id"] != id), "{path}: {list}");
    }
    site.wait_for_doctor(&["--verify"], "0 waiting");
    Gone { id, texts }
}

#[tokio::test]
async fn nothing_of_a_deleted_account_is_left_on_redis() {
    nothing_is_left_in_redis(&Site::redis()).await;
}

#[tokio::test]
async fn nothing_of_a_deleted_account_is_left_on_a_cluster() {
    nothing_is_left_in_redis(&Site::redis_cluster_of_three()).await;
}

async fn nothing_is_left_in_redis(site: &Site) {
    let gone = somebody_leaves(site).await;
    let id = gone.id.to_string();
    // For ten seconds the retractions stay there.
    let _processor = site.processor(&[]);
    let is_settled = async || site.keys("*:settling").is_empty();
    testkit::until("the lists are settled once more", is_settled).await;
    let keys: BTreeSet<String> = site.keys("*").into_iter().collect();
    assert!(keys.iter().any(|key| key.starts_with("ncc:user:")), "the scan finds keys");
    // The tombstones of the sessions live for minutes.
    for key in keys.into_iter().filter(|key| !key.ends_with("}:revoked")) {
        gone.assert_not_in("the name of a key", key.as_bytes());
        let kind: String = site.redis_cli(&["TYPE", &key]);
        let read: &[&str] = match &*kind {
            "string" => &["GET", &key],
            "hash" => &["HGETALL", &key],
            "set" => &["SMEMBERS", &key],
            "zset" => &["ZRANGE", &key, "0", "-1"],
            "stream" => &["XRANGE", &key, "-", "+"],
            "none" => continue,
            other => panic!("{key} is a {other}"),
        };
        let mut words = Vec::new();
        flatten(site.redis_cli(read), &mut words);
        for word in &words {
            gone.assert_not_in(&key, word);
        }
        // Its number is not in the log, in what lies beside it, or in a history. Idempotency keys live for a day.
        let is_of_checkins = key.contains("ncc:checkins") || key.ends_with("}:checkins");
        let is_its = |word: &Vec<u8>| {
            let text = String::from_utf8_lossy(word);
            text.split([' ', '"', ':']).any(|part| part == id)
        };
        let is_idempotency_key = key.contains("}:key");
        assert!(
            !is_of_checkins || is_idempotency_key || !words.iter().any(is_its),
            "{key}: {words:?}"
        );
        assert!(!key.contains(&format!("recent:{id}:")), "{key}");
        assert!(!key.contains(&format!("user:{id}}}:private")), "{key}");
        assert!(!key.ends_with(&format!("user:{id}}}:searched")), "{key}");
        let lists = ["ncc:users:recent", "ncc:users:bycheckins", "ncc:users:at"];
        assert!(!lists.iter().any(|list| key.starts_with(list)) || !words.iter().any(is_its));
    }
}

/// Returns the id in the client's cookie.
fn session_id(client: &Client) -> String {
    let value = signature::decode(client.jar().get(COOKIE).unwrap()).unwrap();
    let (id, _) = value.strip_prefix("s:").unwrap().rsplit_once('.').unwrap();
    id.to_owned()
}

/// Appends all texts of a reply.
fn flatten(reply: Reply, words: &mut Vec<Vec<u8>>) {
    match reply {
        Reply::BulkString(bytes) => words.push(bytes),
        Reply::Array(replies) => replies.into_iter().for_each(|reply| flatten(reply, words)),
        Reply::Map(pairs) => pairs.into_iter().for_each(|(key, value)| {
            flatten(key, words);
            flatten(value, words);
        }),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_of_a_deleted_account_is_left_on_sqlite() {
    let site = Site::sqlite();
    let gone = somebody_leaves(&site).await;
    let path = site.directory.path().join("checkin.db");
    let file = Connection::open(&path).unwrap();
    let mut tables = file.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables.iter().filter(|table| !table.starts_with("location_boxes")) {
        let mut rows = file.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let names: Vec<String> = rows.column_names().map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (at, name) in names.iter().enumerate() {
                match row.get_ref(at).unwrap() {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        gone.assert_not_in(table, bytes);
                    }
                    ValueRef::Integer(number) if name == "user_id" => {
                        let keeps = ["account_standings", "account_epochs"].contains(&&**table);
                        assert!(keeps || number as u64 != gone.id, "{table}");
                    }
                    _ => {}
                }
            }
        }
    }
    // Neither are the bytes.
    let moved = file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    assert_eq!(moved, Ok(0));
    gone.assert_not_in("the file", &std::fs::read(&path).unwrap());
}

/// The number of check-ins of the account that is deleted: several transactions of SQLite, and long enough for kills.
const MANY: u64 = 3000;

/// The locations of the check-ins, with their figures.
async fn figures(client: &mut Client) -> Vec<Value> {
    let mut figures = Vec::new();
    for location in 1..=3 {
        figures.push(client.get(&format!("/api/location/{location}")).await.json());
    }
    figures
}

/// The deletion is killed again and again, until one lasts.
async fn a_deletion_that_is_killed_is_completed(site: &Site) {
    site.count_all();
    let console = site.console(&[]);
    let mut other = console.client();
    let users = site.run("users", &["list", "--json"]).stdout;
    let other_user: Value = serde_json::from_str(users.lines().nth(79).unwrap()).unwrap();
    let login = json!({"email": other_user["email"], "password": DEMO_PASSWORD});
    expect_plain(&other.post("/login", &login).await, 200, "OK");
    // Of somebody who has none yet.
    let mut eve = console.client();
    let account = json!({
        "firstName": NAME, "lastName": SURNAME, "email": ADDRESS, "password": PASSWORD,
    });
    let id = eve.post("/register", &account).await.json()["user"]["id"].as_u64().unwrap();
    let before = figures(&mut other).await;
    let row = |number: u64| {
        format!("{},{id},{},4\n", 1_700_000_000_000 + number * 60_000, number % 3 + 1)
    };
    let table: String = (0..MANY).map(row).collect();
    let file = site.directory.path().join("many.csv");
    std::fs::write(&file, format!("time,userId,locationId,starRating\n{table}")).unwrap();
    let loaded = site.run("load", &[file.to_str().unwrap()]);
    assert!(loaded.stdout.contains(&format!("check-ins: {MANY} loaded")), "{}", loaded.stderr);
    site.count_all();
    assert_ne!(figures(&mut other).await, before);
    drop(console);

    let mut kills = 0;
    for pause in (0..).map(|step| Duration::from_millis(40 + 15 * step)) {
        let mut deletion = site.start("users", &["delete", &id.to_string()]);
        tokio::time::sleep(pause).await;
        if !deletion.is_running() {
            break;
        }
        deletion.kill();
        kills += 1;
    }
    assert!(kills > 0, "it was too fast to be killed");
    let completed = site.run("users", &["delete", &id.to_string()]);
    assert_eq!(completed.code, 0, "{}", completed.stderr);
    site.wait_for_doctor(&["--verify"], "0 waiting");
    let console = site.console(&[]);
    let mut other = console.client();
    expect_plain(&other.post("/login", &login).await, 200, "OK");
    assert_eq!(figures(&mut other).await, before);
    let account: Value = other.get(&format!("/api/user/{id}")).await.json();
    assert_eq!((&account["numCheckins"], &account["firstName"]), (&json!(0), &json!("Deleted")));
}

#[tokio::test]
async fn a_deletion_that_is_killed_is_completed_on_sqlite() {
    a_deletion_that_is_killed_is_completed(&Site::sqlite()).await;
}

#[tokio::test]
async fn a_deletion_that_is_killed_is_completed_on_redis() {
    a_deletion_that_is_killed_is_completed(&Site::redis()).await;
}

/// A service whose deletion of the demo account has got 503, and waits to be carried out.
#[cfg(feature = "external-tests")]
struct LateDeletion {
    site: Site,
    proxy: Proxy,
    service: Service,
}

#[cfg(feature = "external-tests")]
impl LateDeletion {
    async fn begin() -> Self {
        let site = Site::redis();
        let proxy = Proxy::start(site.server().port());
        let store = format!("redis://127.0.0.1:{}", proxy.port());
        let service = site.auth(&["--store", &store, "--store-timeout", STORE_TIMEOUT]);
        let mut al = service.logged_in().await;
        // Redis knows the script from now on.
        assert_eq!(site.run("users", &["delete", "78"]).code, 0);
        proxy.freeze_before(b"\r\ndeleted\r\n");
        assert_eq!(delete_account(&mut al).await, 503);
        assert!(proxy.is_frozen());
        Self { site, proxy, service }
    }

    /// Another service searches for the sessions of the account, which is not deleted yet.
    async fn search(&self) {
        let other = self.site.auth(&[]);
        let email: String = self.site.redis_cli(&["HGET", "ncc:user:79", "email"]);
        let mut client = other.client();
        let login = json!({"email": email, "password": DEMO_PASSWORD});
        expect_plain(&client.post("/login", &login).await, 200, "OK");
        assert_eq!(client.delete("/sessions").await.status, 200);
        let is_done = async || self.site.redis_cli::<u64>(&["ZCARD", "ncc:session-searches"]) == 0;
        until("the other service has searched for both", is_done).await;
    }

    /// The service is killed, and the deletion is carried out afterwards.
    async fn carry_out(self) -> Site {
        let Self { site, proxy, mut service } = self;
        service.program.kill();
        proxy.thaw();
        let clients = async || site.redis_cli::<String>(&["CLIENT", "LIST"]).lines().count();
        until("Redis has read what the service sent", async || clients().await == 1).await;
        site
    }
}

#[cfg(feature = "external-tests")]
async fn delete_account(client: &mut Client) -> u16 {
    let password = json!({"currentPassword": DEMO_PASSWORD});
    client.request(Method::DELETE, "/account").json(&password).send().await.status
}

#[cfg(feature = "external-tests")]
async fn wait_for_erasure(site: &Site) {
    let address = async || site.redis_cli::<String>(&["HGET", "ncc:user:77", "email"]);
    until("the account is erased", async || address().await != crate::harness::EMAIL).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_deletion_that_is_late_is_completed_without_its_service() {
    let site = LateDeletion::begin().await.carry_out().await;
    let _other = site.auth(&[]);
    wait_for_erasure(&site).await;
}

/// After a search for its account, nobody would erase it.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_deletion_that_is_later_than_a_search_is_not_made() {
    let late = LateDeletion::begin().await;
    late.search().await;
    let site = late.carry_out().await;
    let other = site.auth(&[]);
    let mut al = other.logged_in().await;
    assert_eq!(delete_account(&mut al).await, 200);
    wait_for_erasure(&site).await;
}

/// Only a search ends sessions that Express made, which have no epoch and are in no index.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_erasure_delays_no_search_for_sessions_of_others() {
    let site = Site::redis();
    let row = |number: u64| format!("{},77,3,4\n", 1_700_000_000_000 + number * 60_000);
    let table: String = (0..20_000).map(row).collect();
    let file = site.directory.path().join("many.csv");
    std::fs::write(&file, format!("time,userId,locationId,starRating\n{table}")).unwrap();
    assert_eq!(site.run("load", &[file.to_str().unwrap()]).code, 0);
    site.count_all();
    let auth = site.auth(&[]);
    let (mut al, mut other) = (auth.logged_in().await, auth.client());
    let email: String = site.redis_cli(&["HGET", "ncc:user:78", "email"]);
    let login = json!({"email": email, "password": DEMO_PASSWORD});
    expect_plain(&other.post("/login", &login).await, 200, "OK");

    let password = json!({"currentPassword": DEMO_PASSWORD});
    let deletion = al.request(Method::DELETE, "/account").json(&password);
    expect_plain(&deletion.send().await, 200, "OK");
    until("the erasure begins", async || {
        site.redis_cli::<u64>(&["ZCARD", "{ncc:checkins}:retractions"]) > 0
    })
    .await;
    let session = json!({"cookie": {"path": "/"}, "user": email}).to_string();
    site.redis_cli::<()>(&["SET", "ncc:session:at-express", &session, "EX", "600"]);
    assert_eq!(other.delete("/sessions").await.json(), json!({"ended": 0}));
    until("the search ends it", async || {
        !site.redis_cli::<bool>(&["EXISTS", "ncc:session:at-express"])
    })
    .await;
    let address: String = site.redis_cli(&["HGET", "ncc:user:77", "email"]);
    assert_eq!(address, crate::harness::EMAIL, "the erasure has ended before");

    // One more account waits for the erasure. Without the lease, another process would begin both.
    let deletion = other.request(Method::DELETE, "/account").json(&password);
    expect_plain(&deletion.send().await, 200, "OK");
    let look = "return {redis.call('ZCARD', KEYS[1]), redis.call('EXISTS', KEYS[2])}";
    let keys = ["ncc:session-searches", "{ncc:session-searches}:lease"];
    until("both are erased", async || {
        match site.redis_cli::<[u64; 2]>(&[&["EVAL", look, "2"], &keys[..]].concat()) {
            [0, _] => true,
            [_, leases] => {
                assert_eq!(leases, 1, "an account that is not erased yet has no lease");
                false
            }
        }
    })
    .await;
    assert_ne!(site.redis_cli::<String>(&["HGET", "ncc:user:78", "email"]), email);
}

/// The site, whose Redis knows the scripts and whose demo account has this number of check-ins.
#[cfg(feature = "external-tests")]
fn site_with_checkins(number: u64) -> Site {
    let site = Site::redis();
    let row = |number: u64| format!("{},77,3,4\n", 1_700_000_000_000 + number * 60_000);
    let table: String = (0..number).map(row).collect();
    let file = site.directory.path().join("many.csv");
    std::fs::write(&file, format!("time,userId,locationId,starRating\n{table}")).unwrap();
    assert_eq!(site.run("load", &[file.to_str().unwrap()]).code, 0);
    site.count_all();
    assert_eq!(site.run("users", &["delete", "78"]).code, 0);
    site.redis_cli::<u64>(&["XTRIM", "ncc:checkins", "MAXLEN", "0"]);
    site
}

/// In the time of a command, 3.75 kB pass.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_account_is_erased_over_a_slow_network() {
    let site = site_with_checkins(25);
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let service = site.auth(&["--store", &store, "--store-timeout", "250ms"]);
    let mut al = service.logged_in().await;
    proxy.narrow(15_000);
    assert_eq!(delete_account(&mut al).await, 200);
    wait_for_erasure(&site).await;
}

/// In the time of a command, three changes reach the replica.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn an_account_is_erased_while_the_replica_is_far_away() {
    let site = site_with_checkins(20);
    let proxy = Proxy::start(site.server().port());
    proxy.delay(40..=40, testkit::random());
    let of = proxy.port().to_string();
    let _replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &of]);
    site.server().wait_for_replicas(1);
    let service = site.auth(&["--wait-replicas", "1", "--store-timeout", "250ms"]);
    let mut al = service.logged_in().await;
    assert_eq!(delete_account(&mut al).await, 200);
    wait_for_erasure(&site).await;
}
