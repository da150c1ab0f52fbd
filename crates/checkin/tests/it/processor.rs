//! Check-ins become figures.

#[cfg(feature = "external-tests")]
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
#[cfg(feature = "external-tests")]
use testkit::Proxy;
use testkit::{Client, Program, until, wait_until};

use crate::harness::{
    CHECKIN, PATIENCE, STORE_TIMEOUT, Service, Site, USER, accepted, at, expect_problem,
    retry_after,
};
#[cfg(feature = "external-tests")]
use crate::metrics::{metrics_port, value};

/// A processor whose partitions are taken over soon.
const SHORT_LEASE: [&str; 2] = ["--lease", "500ms"];
const ANYBODY: [&str; 5] = ["--no-auth", "--checkin-rate", "0", "--duplicate-window", "0"];

fn counted(site: &Site) {
    site.wait_for_doctor(&[], " 0 check-ins wait to be applied");
    site.wait_for_doctor(&["--verify"], "are the sums over the log");
}

async fn many(receiver: &Service, users: std::ops::RangeInclusive<u64>) {
    let mut client = receiver.client();
    for user in users {
        let body = json!({"userId": user, "locationId": user % 220 + 1, "starRating": 4});
        accepted(&client.post(CHECKIN, &body).await);
    }
}

async fn number_of_checkins(auth: &Service, client: &Client) -> u64 {
    let mut client = auth.client_like(client);
    client.get("/session").await.json()["user"]["numCheckins"].as_u64().unwrap()
}

async fn a_check_in_counts(site: &Site) {
    let (auth, receiver, _processor) = (site.auth(&[]), site.receiver(&[]), site.processor(&[]));
    let client = auth.logged_in().await;
    counted(site);
    let before = number_of_checkins(&auth, &client).await;
    accepted(&receiver.client_like(&client).post(CHECKIN, &at(5, 1)).await);
    until("it is counted", async || number_of_checkins(&auth, &client).await == before + 1).await;
    counted(site);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_check_in_counts_on_redis() {
    a_check_in_counts(&Site::redis()).await;
}

#[tokio::test]
async fn a_check_in_counts_on_sqlite() {
    a_check_in_counts(&Site::sqlite()).await;
}

#[tokio::test]
async fn up_counts_too() {
    let site = Site::sqlite();
    let (_up, ..) = site.up(&[]);
    counted(&site);
}

/// Returns the number of partitions of each processor that holds any of these four.
#[cfg(feature = "external-tests")]
fn holders(site: &Site) -> Vec<usize> {
    let mut partitions = BTreeMap::<String, usize>::new();
    for log in 0..4 {
        let lease = format!("ncc:checkins:{{{log}}}:lease");
        if let Some(holder) = site.redis_cli::<Option<String>>(&["GET", &lease]) {
            *partitions.entry(holder).or_default() += 1;
        }
    }
    partitions.into_values().collect()
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn processors_share_partitions_and_take_over_those_of_the_dead() {
    let site = Site::empty_redis();
    let four = ["--partitions", "4"];
    assert_eq!(site.run("load", &["--demo", "--partitions", "4"]).code, 0);
    let logs: Vec<String> = site.redis_cli(&["KEYS", "ncc:checkins:{?}"]);
    assert_eq!(logs.len(), 4, "{logs:?}");

    let receiver = site.receiver(&[&ANYBODY[..], &four].concat());
    let with_lease = [&four[..], &SHORT_LEASE].concat();
    let mut processors: Vec<Program> = (0..3).map(|_| site.processor(&with_lease)).collect();
    wait_until("each of the three has a partition", || holders(&site).len() == 3);
    many(&receiver, 1..=50).await;
    processors[0].kill();
    processors[1].kill();
    many(&receiver, 51..=100).await;
    let counted = [&four[..], &["--verify"]].concat();
    site.wait_for_doctor(&four, " 0 check-ins wait to be applied");
    site.wait_for_doctor(&counted, "are the sums over the log");
    assert_eq!(processors[2].stop().code(), Some(0));
    let leases: Vec<String> = site.redis_cli(&["KEYS", "ncc:checkins:{?}:lease"]);
    assert_eq!(leases, Vec::<String>::new(), "it gave them up");

    let refused = site.run("doctor", &["--partitions", "3"]);
    assert!(refused.stdout.contains("--partitions 4"), "{}", refused.stdout);
    let refused = site.run("processor", &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--partitions 4"), "{}", refused.stderr);
}

/// The checkpoint moves too late for its processor, which applies the batch once more.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_command_that_is_late_costs_no_lease() {
    let site = Site::redis();
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let receiver = site.receiver(&ANYBODY);
    let options = ["--store", &store, "--store-timeout", STORE_TIMEOUT, "--lease", "1m"];
    let processor = site.processor(&[&options[..], &["--metrics-listen", "127.0.0.1:0"]].concat());
    let mut metrics = Client::new(metrics_port(&processor));
    // The server knows the scripts from now on.
    many(&receiver, 1..=1).await;
    counted(&site);
    proxy.freeze_before(b"{ncc:checkins}:retracted");
    many(&receiver, 2..=2).await;
    processor.wait_for_line("the store is unavailable", PATIENCE);
    proxy.thaw();
    many(&receiver, 3..=3).await;
    counted(&site);
    let metrics = metrics.get("/metrics").await;
    let leases = ["acquired", "lost"].map(|change| {
        let sample =
            format!("checkin_lease_changes_total{{service=\"processor\",change=\"{change}\"}}");
        value(&metrics, &sample)
    });
    assert_eq!(leases, [1.0, 0.0]);
}

/// A processor reads more at once than passes in the time of a command.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_processor_gets_on_when_a_batch_is_too_large_for_the_network() {
    let site = Site::redis();
    let receiver = site.receiver(&ANYBODY);
    let mut first = site.processor(&[]);
    counted(&site);
    assert_eq!(first.stop().code(), Some(0));
    let mut client = receiver.client();
    for number in 0..500 {
        let (user, location) = (number % 100 + 1, number / 100 + 1);
        let comment = "x".repeat(200);
        let body = json!({
            "userId": user, "locationId": location, "starRating": 4, "comment": comment,
        });
        accepted(&client.post(CHECKIN, &body).await);
    }
    let proxy = Proxy::start(site.server().port());
    proxy.narrow(100_000);
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let _processor = site.processor(&["--store", &store, "--store-timeout", "250ms"]);
    counted(&site);
}

/// One command with a hundred retractions needs 4 kB, which takes longer than a command may.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_processor_takes_back_what_is_too_much_at_once_for_the_network() {
    let site = Site::redis();
    let receiver = site.receiver(&ANYBODY);
    let mut first = site.processor(&[]);
    let (mut client, mut paths) = (receiver.client(), Vec::new());
    for number in 0..100 {
        let user = number / 10 + 1;
        let body = json!({"userId": user, "locationId": 2, "starRating": 4});
        let id = accepted(&client.post(CHECKIN, &body).await);
        paths.push(format!("{CHECKIN}/{id}?userId={user}"));
    }
    counted(&site);
    assert_eq!(first.stop().code(), Some(0));
    let proxy = Proxy::start(site.server().port());
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let _processor = site.processor(&["--store", &store, "--store-timeout", "250ms"]);
    proxy.freeze();
    for path in paths {
        assert_eq!(client.delete(&path).await.status, 204);
    }
    let waiting = || site.redis_cli::<u64>(&["ZCARD", "{ncc:checkins}:retractions"]);
    assert_eq!(waiting(), 100);
    proxy.narrow(15_000);
    proxy.thaw();
    wait_until("all are taken back", || waiting() == 0);
    counted(&site);
}

/// The lease decides how long the partitions of a processor that died wait, and nothing else.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_new_processor_gets_its_share_soon_however_long_the_lease_is() {
    let site = Site::empty_redis();
    assert_eq!(site.run("load", &["--demo", "--partitions", "4"]).code, 0);
    let options = ["--partitions", "4", "--lease", "10m"];
    let mut first = site.processor(&options);
    wait_until("the only one has all", || holders(&site) == [4]);
    let _second = site.processor(&options);
    wait_until("each has its share", || holders(&site) == [2, 2]);
    assert_eq!(first.stop().code(), Some(0));
    wait_until("the other one has all again", || holders(&site) == [4]);
}

async fn a_processor_that_is_told_to_stop_finishes_its_batch(site: &Site) {
    let receiver = site.receiver(&ANYBODY);
    many(&receiver, 1..=100).await;
    let mut processor = site.processor(&["--batch", "10", "--lease", "60s"]);
    let asked = Instant::now();
    assert_eq!(processor.stop().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    // Its leases would be in the way for a minute.
    let _next = site.processor(&["--lease", "60s"]);
    counted(site);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_processor_on_redis_that_is_told_to_stop_finishes_its_batch() {
    a_processor_that_is_told_to_stop_finishes_its_batch(&Site::redis()).await;
}

#[tokio::test]
async fn a_processor_on_sqlite_that_is_told_to_stop_finishes_its_batch() {
    a_processor_that_is_told_to_stop_finishes_its_batch(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn what_cannot_be_counted_is_set_aside_and_replayed() {
    let site = Site::redis();
    let processor = site.processor(&[]);
    counted(&site);
    // What another service might write: no rating, and a user who is not there yet.
    for fields in ["userId 77 locationId 2", "userId 9001 locationId 2 starRating 5"] {
        let words = ["XADD", "ncc:checkins", "*"].into_iter().chain(fields.split(' '));
        site.redis_cli::<String>(&words.collect::<Vec<_>>());
    }
    site.wait_for_doctor(&[], "there are dead letters");
    let warned = processor.wait_for_line("entries of the log cannot be applied", PATIENCE);
    assert!(warned.contains("WARN"), "{warned}");
    let list = site.run("dead-letters", &["list"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].contains("starRating is missing"), "{list}");
    assert!(lines[1].contains("there is no such user") && lines[1].contains("9001"), "{list}");
    assert_eq!(lines[2], "2 dead letters");

    let id = lines[1].split(' ').next().unwrap();
    let still = site.run("dead-letters", &["replay", id]);
    assert_eq!(still.code, 1);
    assert!(still.stdout.contains("there is no such user"), "{}", still.stdout);
    let file = site.directory.path().join("user.json");
    let user = json!({"users": [{"id": 9001, "firstName": "Bo", "lastName": "", "email": "bo@example.com",
        "password": "secret123"}]});
    std::fs::write(&file, user.to_string()).unwrap();
    assert_eq!(site.run("load", &[file.to_str().unwrap()]).code, 0);
    let replayed = site.run("dead-letters", &["replay", "--all"]);
    assert!(replayed.stdout.contains("1 dead letters are counted now, 1 are not"), "{replayed:?}");
    assert_eq!(site.redis_cli::<String>(&["HGET", "ncc:user:9001", "numCheckins"]), "1");
    counted(&site);
    let wrong = site.run("dead-letters", &["replay", "7"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("PARTITION/MILLISECONDS-SEQUENCE"), "{}", wrong.stderr);
}

/// Without a processor, the receiver takes as much as may wait, and more when one has come.
async fn a_receiver_refuses_what_nobody_counts(site: &Site) {
    let processor = site.processor(&[]);
    counted(site);
    let mut processor = processor;
    assert_eq!(processor.stop().code(), Some(0));
    let receiver = site.receiver(&[&ANYBODY[..], &["--max-backlog", "20"]].concat());
    many(&receiver, 1..=20).await;
    let mut client = receiver.client();
    let body = json!({"userId": USER, "locationId": 1, "starRating": 4});
    let refused = client.post(CHECKIN, &body).await;
    expect_problem(&refused, 503, &[]);
    assert_eq!(retry_after(&refused), 5);
    let _processor = site.processor(&[]);
    let taken = crate::harness::until(
        "check-in",
        async || client.post(CHECKIN, &body).await,
        |answer| answer.status == 202,
    );
    accepted(&taken.await);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_receiver_on_redis_refuses_what_nobody_counts() {
    a_receiver_refuses_what_nobody_counts(&Site::redis()).await;
}

#[tokio::test]
async fn a_receiver_on_sqlite_refuses_what_nobody_counts() {
    a_receiver_refuses_what_nobody_counts(&Site::sqlite()).await;
}

/// Without sessions, the request is trusted, but nobody could count the check-in of a user who is not there.
async fn a_receiver_without_sessions_refuses_users_who_are_not_there(site: &Site) {
    let receiver = site.receiver(&ANYBODY);
    let check_in = async |user: u64, is_private: bool| {
        let body = json!({
            "userId": user, "locationId": 1, "starRating": 4, "private": is_private,
        });
        receiver.client().post(CHECKIN, &body).await
    };
    for is_private in [false, true] {
        accepted(&check_in(USER, is_private).await);
        expect_problem(&check_in(9_000_000, is_private).await, 422, &["userId"]);
    }
    assert_eq!(site.run("users", &["delete", &USER.to_string()]).code, 0);
    // What the receiver has read is used for a moment.
    let refused = async || check_in(USER, false).await;
    crate::harness::until("a refusal", refused, |response| response.status == 422).await;
    for is_private in [false, true] {
        expect_problem(&check_in(USER, is_private).await, 422, &["userId"]);
    }
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_receiver_without_sessions_refuses_users_who_are_not_there_on_redis() {
    a_receiver_without_sessions_refuses_users_who_are_not_there(&Site::redis()).await;
}

#[tokio::test]
async fn a_receiver_without_sessions_refuses_users_who_are_not_there_on_sqlite() {
    a_receiver_without_sessions_refuses_users_who_are_not_there(&Site::sqlite()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn a_bounded_log_loses_its_oldest_and_the_histories_do_not() {
    let site = Site::redis();
    let processor = site.processor(&["--listen", "127.0.0.1:0"]);
    counted(&site);
    let histories = || site.redis_cli::<u64>(&["ZCARD", "{ncc:user:77}:checkins"]);
    let before = histories();
    let receiver = site.receiver(&[&ANYBODY[..], &["--max-log-length", "100"]].concat());
    let mut client = receiver.client();
    for stars in 0..5 {
        accepted(&client.post(CHECKIN, &at(5, stars)).await);
        counted(&site);
    }
    assert_eq!(site.counts().0, 100);
    assert_eq!(histories(), before + 5);
    let line = processor.wait_for_line("Checkin processor listening on port ", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let metrics = Client::new(format!("http://127.0.0.1:{port}")).get("/metrics").await;
    for name in ["checkin_applied_total", "checkin_backlog", "checkin_dead_letters_total"] {
        let line = format!("{name}{{service=\"processor\"");
        assert!(metrics.text().lines().any(|metric| metric.starts_with(&line)), "{name}");
    }
}

/// A check-in of each of these users is in a partition of its own, which may hold one.
async fn some_are_folded(processor: &Program) {
    let line = processor.wait_for_line("Checkin processor listening on port ", PATIENCE);
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    let mut metrics = Client::new(format!("http://127.0.0.1:{port}"));
    until("some are folded", async || {
        let answer = metrics.get("/metrics").await;
        let text = answer.text();
        let folded = text.lines().find(|line| line.starts_with("checkin_folded_total"));
        folded.and_then(|line| line.rsplit(' ').next()?.parse().ok()) > Some(10_u64)
    })
    .await;
}

async fn old_check_ins_are_folded(site: &Site, users: std::ops::RangeInclusive<u64>) {
    site.count_all();
    let receiver = site.receiver(&[&ANYBODY[..], &["--max-log-length", "1"]].concat());
    many(&receiver, users).await;
    let short = site.run("processor", &["--keep-history", "35d"]);
    assert!(short.stderr.contains("must be 0 or at least 36d"), "{}", short.stderr);
    let keep = ["--listen", "127.0.0.1:0", "--keep-history", "36d"];
    // The first pass comes when the log is applied.
    site.count_all();
    let processor = site.processor(&keep);
    some_are_folded(&processor).await;
    counted(site);
    let again = site.run("load", &["--demo"]);
    let rule = "must not be older than the histories that the store keeps";
    let said = [again.stdout, again.stderr].concat();
    assert!(said.contains(rule), "{said}");
    counted(site);
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn old_check_ins_are_folded_on_redis() {
    old_check_ins_are_folded(&Site::redis(), USER..=USER).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn old_check_ins_are_folded_on_a_cluster() {
    let site = Site::redis_cluster_of_three();
    old_check_ins_are_folded(&site, USER..=USER + 3).await;
    let verified = site.run("doctor", &["--verify"]);
    let sums = "users and locations are the sums over the log";
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    assert!(verified.stdout.contains(sums), "{}", verified.stdout);
    // Histories of users in other partitions, on other servers.
    for user in ["77", "78", "79", "80"] {
        let base = format!("{{ncc:user:{user}}}:base");
        assert!(site.redis_cli::<i64>(&["EXISTS", &base]) == 1, "{base}");
    }
}

/// A hundred check-ins of one history are more than passes in the time of a command.
#[cfg(feature = "external-tests")]
#[tokio::test]
async fn old_check_ins_are_folded_over_a_slow_network() {
    let site = Site::redis();
    site.count_all();
    let receiver = site.receiver(&[&ANYBODY[..], &["--max-log-length", "1"]].concat());
    many(&receiver, USER..=USER).await;
    site.count_all();
    let proxy = Proxy::start(site.server().port());
    proxy.narrow(15_000);
    let store = format!("redis://127.0.0.1:{}", proxy.port());
    let slow = ["--store", &store, "--store-timeout", "250ms"];
    let keep = ["--listen", "127.0.0.1:0", "--keep-history", "36d"];
    let processor = site.processor(&[&slow[..], &keep].concat());
    some_are_folded(&processor).await;
    counted(&site);
}

#[tokio::test]
async fn old_check_ins_are_folded_on_sqlite() {
    old_check_ins_are_folded(&Site::sqlite(), USER..=USER).await;
}
