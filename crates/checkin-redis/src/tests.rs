//! The conformance suite on Redis, and tests of the exact formats that other programs read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_link::{Client, Timeouts};
use testkit::RedisServer;

use redis_link::Reply;

use super::RedisStorage;
use super::reply::texts;
use checkin_domain::{CheckinId, PasswordScheme};
use checkin_storage::conformance::{
    StoreUnderTest, admission_cases, apply_all, checkin, checks, details, location, new_checkin,
    new_user, tests, user, window,
};
use checkin_storage::{
    Accepted, Admission, Audit, BulkLoad, DeadLetters, Decision, Finding, Health, Loaded,
    Locations, Log, Registered, Severity, SwarmLoad, Users,
};

pub(super) fn storage(server: &RedisServer) -> RedisStorage {
    RedisStorage::new(patient(&server.url()), "ncc", 1)
}

/// A client for a machine that is busy with other tests.
pub(super) fn patient(url: &str) -> Client {
    let patience = Duration::from_secs(20);
    Client::with_timeouts(url, Timeouts { connect: patience, response: patience }).unwrap()
}

async fn subject() -> (RedisServer, StoreUnderTest) {
    let server = RedisServer::start();
    let storage = Arc::new(storage(&server));
    // The server uses its own clock for the times to live, and a test cannot change that clock.
    let advance = Box::new(|time| Box::pin(tokio::time::sleep(time)) as _);
    (server, StoreUnderTest { storage, advance })
}

checks!(tests: subject());

pub(super) async fn ask(storage: &RedisStorage, words: &str) -> Vec<String> {
    let words: Vec<&str> = words.split(' ').collect();
    flat(storage.redis.call(&words).await.unwrap())
}

/// Returns all texts and numbers of a reply, in their order.
fn flat(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Nil => vec![],
        Reply::Int(number) => vec![number.to_string()],
        Reply::Bytes(_) => texts(Reply::Array(vec![reply])).unwrap(),
        Reply::Array(replies) => replies.into_iter().flat_map(flat).collect(),
    }
}

#[tokio::test]
async fn hashes_and_entries_have_the_fields_that_other_programs_read() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let al = user(77, "al.appelhof@example.com");
    storage.load_users(std::slice::from_ref(&al)).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    let password = al.password.as_str();
    assert_eq!(
        ask(&storage, "HGETALL ncc:user:77").await,
        [
            "id",
            "77",
            "firstName",
            "Al",
            "lastName",
            "Appelhof",
            "email",
            "al.appelhof@example.com",
            "password",
            password,
            "numCheckins",
            "3",
            "lastCheckin",
            "1609602085397",
            "lastSeenAt",
            "2",
        ]
    );
    assert_eq!(
        ask(&storage, "HGETALL ncc:location:2").await,
        [
            "id",
            "2",
            "name",
            "Quillback Coffee",
            "category",
            "cafe",
            "location",
            "-122.2711,37.8044",
            "numCheckins",
            "2",
            "numStars",
            "9",
            "averageStars",
            "4.5",
        ]
    );
    assert_eq!(ask(&storage, "HGETALL ncc:users:email").await, ["al.appelhof@example.com", "77"]);
    assert_eq!(ask(&storage, "GET ncc:users:last-id").await, ["77"]);

    let window = window(Duration::from_secs(600));
    let answer = storage.append(new_checkin(77, 2, 5), Some("k"), window).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    assert_eq!(
        ask(&storage, "XRANGE ncc:checkins - +").await,
        [id.to_string().as_str(), "userId", "77", "locationId", "2", "starRating", "5"]
    );
    let life: i64 = ask(&storage, "PTTL {ncc:checkins}:recent:77:2:5").await[0].parse().unwrap();
    assert!((590_000..=600_000).contains(&life), "{life}");
    let [key] = ask(&storage, "KEYS {ncc:checkins}:key:*").await.try_into().unwrap();
    assert_eq!(ask(&storage, &format!("GET {key}")).await, [format!("77 2 5 {id}")]);
    let life: i64 = ask(&storage, &format!("TTL {key}")).await[0].parse().unwrap();
    assert!((86_390..=86_400).contains(&life), "{life}");
}

#[tokio::test]
async fn a_new_account_has_no_last_checkin_and_leaves_no_claim() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.register(new_user("Al@example.com")).await.unwrap();
    assert_eq!(
        ask(&storage, "HKEYS ncc:user:1").await,
        ["id", "firstName", "lastName", "email", "password", "numCheckins"]
    );
    assert_eq!(ask(&storage, "KEYS {ncc:users:email}:claim:*").await, Vec::<String>::new());
}

#[tokio::test]
async fn hashes_of_other_programs_are_read_leniently_and_checked() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let password = user(1, "a@example.com").password;
    let password = password.as_str();
    ask(&storage, &format!("HSET ncc:user:5 id 5 email a@b password {password} lastSeenAt 0"))
        .await;
    let id = user(5, "a@b").id;
    let found = storage.user(id).await.unwrap().unwrap();
    assert_eq!((found.first_name.as_str(), found.num_checkins, found.last_seen_at), ("", 0, None));
    assert!(!storage.is_empty().await.unwrap());

    // Reading an account does not need its password.
    for command in ["HSET ncc:user:5 password hunter2", "HDEL ncc:user:5 password"] {
        ask(&storage, command).await;
        let found = storage.user(id).await.unwrap().unwrap();
        assert_eq!(found.password.scheme(), PasswordScheme::Unusable);
    }
    for (command, says) in [
        ("HSET ncc:user:5 email hunter2", "ncc:user:5: email must contain"),
        ("HSET ncc:user:5 id 6", "ncc:user:5: id must be that of the key"),
        ("HDEL ncc:user:5 id", "ncc:user:5: id must not be missing"),
    ] {
        ask(&storage, command).await;
        let error = storage.user(id).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.starts_with(says) && !cause.contains("hunter2"), "{cause}");
    }
    ask(&storage, "XADD ncc:checkins 1-0 hello world").await;
    ask(&storage, "XADD ncc:checkins 2-0 starRating 4 locationId 2 userId 1 comment hi").await;
    let log = storage.latest_checkins(checkin_domain::CheckinId::MAX, 1).await.unwrap();
    assert_eq!(log, [checkin("2-0", 1, 2)]);
}

#[tokio::test]
async fn a_stale_address_in_the_index_is_not_trusted() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(3, "three@example.com")]).await.unwrap();
    // Entries of a writer that died, and of a user whose address was changed.
    ask(&storage, "HSET ncc:users:email dead@example.com 99 old@example.com 3").await;
    for email in ["dead@example.com", "old@example.com"] {
        assert_eq!(storage.user_by_email(&email.parse().unwrap()).await.unwrap(), None);
        let Registered::Opened(user) = storage.register(new_user(email)).await.unwrap() else {
            panic!("{email} is taken")
        };
        assert_eq!(storage.user_by_email(&user.email).await.unwrap(), Some(user));
    }
    // Another process is about to write user 98.
    ask(&storage, "HSET ncc:users:email busy@example.com 98").await;
    ask(&storage, "SET {ncc:users:email}:claim:busy@example.com 98").await;
    let busy = storage.register(new_user("busy@example.com")).await.unwrap();
    assert_eq!(busy, Registered::EmailTaken);
}

#[tokio::test]
async fn an_id_that_another_program_used_is_skipped() {
    let server = RedisServer::start();
    let storage = storage(&server);
    ask(&storage, "HSET ncc:user:1 id 1 firstName Al").await;
    let Registered::Opened(user) = storage.register(new_user("a@example.com")).await.unwrap()
    else {
        panic!("taken")
    };
    assert_eq!(user.id.get(), 2);
    assert_eq!(ask(&storage, "HGETALL ncc:user:1").await, ["id", "1", "firstName", "Al"]);
}

#[tokio::test]
async fn a_place_of_a_venue_gets_no_id_that_another_program_used() {
    let server = RedisServer::start();
    let storage = storage(&server);
    for id in [4, 5] {
        let place = format!("HSET ncc:location:{id} id {id} name X category bar location 1,2");
        ask(&storage, &place).await;
    }
    let make = async |venue: &str| {
        let made = storage.make_places(&[(venue.to_owned(), location(4))]).await.unwrap();
        (made[0].id.get(), made[0].made)
    };
    assert_eq!(make("a").await, (6, true));
    assert_eq!(make("b").await, (7, true));
    assert_eq!(make("a").await, (6, false));
}

#[tokio::test]
async fn twenty_thousand_checkins_load_in_a_moment() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(1, "a@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    let checkins: Vec<_> = (1..=20_000).map(|ms| checkin(&format!("{ms}-0"), 1, 1)).collect();
    let start = Instant::now();
    let answers = storage.load_checkins(&checkins).await.unwrap();
    let took = start.elapsed();
    assert!(answers.iter().all(|answer| *answer == Loaded::Stored));
    // Far more than it takes, for machines that do other things as well.
    assert!(took < Duration::from_secs(5), "{took:?}");
    eprintln!("20,000 check-ins in {took:?}");
}

#[tokio::test]
async fn a_diagnosis_finds_settings_that_may_lose_data() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let storage = storage(&server);
    let mut findings = storage.diagnose().await.unwrap();
    findings.retain(|finding| finding.severity != Severity::Fine);
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert_eq!(findings[0].severity, Severity::Problem);
    assert!(findings[0].what.contains("allkeys-lru"));
    assert_eq!(findings[1].severity, Severity::Warning);
    assert!(findings[1].what.contains("append-only"));

    ask(&storage, "ACL SETUSER default -info").await;
    let findings = storage.diagnose().await.unwrap();
    let refused = findings.iter().filter(|finding| finding.severity == Severity::Warning);
    assert_eq!(refused.count(), 4, "{findings:?}");
}

/// A program that writes entries with ids that it chooses.
#[tokio::test]
async fn a_log_accepts_check_ins_after_another_program_moved_its_ids() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let many = RedisStorage::new(patient(&server.url()), "many", 4);
    let concerns = |findings: Vec<Finding>| {
        let wrong = |f: &Finding| f.what.contains("ids of") && f.severity != Severity::Fine;
        findings.into_iter().filter(wrong).collect::<Vec<_>>()
    };
    assert_eq!(concerns(storage.diagnose().await.unwrap()), []);
    for (storage, log) in [(&storage, "ncc:checkins"), (&many, "many:checkins:{1}")] {
        let mut last = CheckinId::MIN;
        for theirs in
            ["2893456000000-0", "2893456000000-18446744073709551615", "18446744073709551615-0"]
        {
            ask(storage, &format!("XADD {log} {theirs} userId 1 locationId 1 starRating 1")).await;
            for _ in 0..2 {
                let answer =
                    storage.append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
                let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
                assert!(id > last && id > theirs.parse().unwrap(), "{theirs}: {id}");
                last = id;
                let newest = storage.latest_checkins(CheckinId::MAX, 1).await.unwrap()[0];
                let now = super::clock::now_ms();
                assert!(newest.id == id && newest.time_ms.abs_diff(now) < 60_000, "{newest:?}");
            }
            let concerns = concerns(storage.diagnose().await.unwrap());
            assert_eq!(concerns.len(), 1, "{concerns:?}");
            assert!(concerns[0].what.contains("ahead of the clock"), "{concerns:?}");
        }
    }
}

#[tokio::test]
async fn a_log_whose_ids_are_used_up_is_refused_and_the_doctor_has_the_way_out() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    let append = async || storage.append(new_checkin(1, 1, 1), None, Admission::ALL).await;
    let count = async || apply_all(&storage, 9).await.new;
    append().await.unwrap();
    let last = CheckinId::MAX;
    ask(&storage, &format!("XADD ncc:checkins {last} userId 1 locationId 1 starRating 1")).await;
    assert_eq!(count().await, 2);
    assert!(append().await.unwrap_err().is_used_up());
    let findings = storage.diagnose().await.unwrap();
    let finding = findings.iter().find(|finding| finding.what.contains("used up")).unwrap();
    assert_eq!(finding.severity, Severity::Problem);
    let commands: Vec<&str> = finding.advice.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 3, "{}", finding.advice);
    for command in commands {
        ask(&storage, command).await;
    }
    append().await.unwrap();
    assert_eq!(count().await, 1);
    let findings = storage.diagnose().await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity != Severity::Problem), "{findings:?}");
}

/// What an earlier version imported behind later entries is found by its time.
#[tokio::test]
async fn an_index_of_times_is_made_of_what_is_there() {
    let server = RedisServer::start();
    let storage = storage(&server);
    ask(&storage, "SADD {ncc:checkins}:imported any").await;
    for id in 1..=3 {
        let entry =
            format!("XADD ncc:checkins 9000-{id} userId 1 locationId 1 starRating 4 time {id}");
        ask(&storage, &entry).await;
    }
    for _ in 0..2 {
        let found = storage.checkins_between(2..=3, None, 9).await.unwrap();
        let times: Vec<u64> = found.iter().map(|checkin| checkin.time_ms).collect();
        assert_eq!(times, [2, 3]);
        assert_eq!(ask(&storage, "ZCARD {ncc:checkins}:times").await, ["4"]);
    }
}

#[tokio::test]
async fn what_leaves_the_log_leaves_the_index_of_times() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    ask(&storage, "XADD ncc:checkins 2893456000000-0 userId 1 locationId 1 starRating 1").await;
    let short = Admission { max_length: 3, ..Admission::ALL };
    for _ in 0..6 {
        let answer = storage.append(new_checkin(1, 1, 1), None, short).await.unwrap();
        assert!(matches!(answer, Accepted::Stored(_)), "{answer:?}");
        apply_all(&storage, 9).await;
    }
    assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["3"]);
    assert_eq!(ask(&storage, "ZCARD {ncc:checkins}:times").await, ["3"]);
}

#[tokio::test]
async fn details_are_in_the_form_of_an_import_file() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_locations(&[location(2)]).await.unwrap();
    storage.load_details(&[details(2)]).await.unwrap();
    let [json] = ask(&storage, "GET ncc:locationdetails:2").await.try_into().unwrap();
    assert!(json.contains(r#"{"day":"Monday","hours":""#), "{json}");
    let found = storage
        .location_details(details(2).id, &checkin_domain::DetailsSection::ALL)
        .await
        .unwrap();
    assert_eq!(found, Some(details(2)));
}

#[tokio::test]
async fn an_audit_finds_what_others_changed() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(77, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    for stars in [1, 5] {
        storage.append(new_checkin(77, 2, stars), None, Admission::ALL).await.unwrap();
    }
    ask(&storage, "XADD ncc:checkins * userId 77 id 9-9").await;
    let applied = apply_all(&storage, 9).await;
    assert_eq!((applied.new, applied.dead), (2, 1));
    let letters = storage.dead_letters(None, 9).await.unwrap();
    assert_eq!(letters[0].reason, "starRating is missing");
    assert_eq!(letters[0].fields, r#"{"id":"9-9","userId":"77"}"#);
    assert_eq!(ask(&storage, "HGET ncc:location:2 averageStars").await, ["3.8"]);
    assert_eq!(ask(&storage, "HGETALL {ncc:location:2}:base").await.len(), 4);
    assert_eq!(storage.audit().await.unwrap().different, 0);

    let history = ask(&storage, "ZRANGE {ncc:user:77}:checkins 0 -1").await;
    storage.redis.call(&["ZREM", "{ncc:location:2}:checkins", "nothing"]).await.unwrap();
    for (break_it, mend_it, wanted) in [
        (
            "HINCRBY ncc:user:77 numCheckins 3",
            "HINCRBY ncc:user:77 numCheckins -3",
            "numCheckins 8 5",
        ),
        (
            "HINCRBY ncc:location:2 numStars -1",
            "HINCRBY ncc:location:2 numStars 1",
            "numStars 14 15",
        ),
        (
            "HINCRBY {ncc:location:2}:ratings 5 1",
            "HINCRBY {ncc:location:2}:ratings 5 -1",
            "numStars 15 20",
        ),
        ("HSET {ncc:location:2}:ratings 0 7", "HDEL {ncc:location:2}:ratings 0", "ratings 9 2"),
    ] {
        ask(&storage, break_it).await;
        let audit = storage.audit().await.unwrap();
        assert_eq!(audit.different, 1, "{break_it}");
        let found = &audit.differences[0];
        assert_eq!(format!("{} {} {}", found.figure, found.stored, found.counted), wanted);
        ask(&storage, mend_it).await;
        assert_eq!(storage.audit().await.unwrap().different, 0, "{mend_it}");
    }
    // A visit that the log has, and the history has not.
    storage.redis.call(&["ZREM", "{ncc:user:77}:checkins", &history[0]]).await.unwrap();
    let audit = storage.audit().await.unwrap();
    let figures: Vec<String> =
        audit.differences.iter().map(|found| found.figure.to_string()).collect();
    assert_eq!(figures, ["history", "numCheckins"]);
}

#[tokio::test]
async fn a_log_of_other_partitions_is_refused() {
    let server = RedisServer::start();
    let of = |partitions| RedisStorage::new(patient(&server.url()), "ncc", partitions);
    of(1).prepare().await.unwrap();
    of(4).prepare().await.unwrap();
    of(4).prepare().await.unwrap();
    for wrong in [1, 5] {
        let error = of(wrong).prepare().await.unwrap_err();
        assert!(error.is_lasting() && error.advice().ends_with("--partitions 4"), "{error}");
    }
    let server = RedisServer::start();
    let of = |partitions| RedisStorage::new(patient(&server.url()), "ncc", partitions);
    of(1).append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
    of(1).prepare().await.unwrap();
    assert!(of(2).prepare().await.is_err());
}

/// Whether the script that appends decides as [`Admission::decide`] does.
#[tokio::test]
async fn the_script_admits_what_the_rules_admit() {
    let server = RedisServer::start();
    let checkin = new_checkin(7, 2, 3);
    let now_ms = super::clock::now_ms();
    for (number, (admission, mut facts)) in admission_cases(checkin, now_ms).enumerate() {
        let storage = RedisStorage::new(patient(&server.url()), &format!("case-{number}"), 1);
        let keys = &storage.redis.keys;
        for ms in 1..=facts.length {
            ask(&storage, &format!("XADD {} {ms}-0 userId 1", keys.log(0))).await;
        }
        ask(&storage, &format!("HSET {} counted {}", keys.checkpoint(0), facts.counted)).await;
        if let Some(last_ms) = facts.last_identical_ms {
            ask(&storage, &format!("SET {} {last_ms}", keys.recent(&checkin))).await;
        }
        if let Some((first, id)) = facts.remembered {
            let key = keys.idempotency(checkin.user, "key");
            let value = format!("{} {} {} {id}", first.user, first.location, first.stars);
            storage.redis.call(&["SET", &key, &value]).await.unwrap();
        }
        facts.now_ms = super::clock::now_ms();
        let answer = storage.append(checkin, Some("key"), admission).await.unwrap();
        let length = ask(&storage, &format!("XLEN {}", keys.log(0))).await[0].parse::<u64>();
        let case = format!("{admission:?} {facts:?}");
        match admission.decide(checkin, &facts) {
            Decision::Answer(wanted) => {
                assert_eq!(answer, wanted, "{case}");
                assert_eq!(length, Ok(facts.length), "{case}");
            }
            Decision::Append { trim } => {
                assert!(matches!(answer, Accepted::Stored(_)), "{answer:?} {case}");
                assert_eq!(length, Ok(facts.length - trim + 1), "{case}");
            }
        }
    }
}
