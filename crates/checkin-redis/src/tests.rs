//! The conformance suite on Redis, and tests of the exact formats that other programs read.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use redis_link::{Client, Timeouts};
use testkit::RedisServer;

use redis_link::Reply;

use super::RedisStorage;
use super::reply::texts;
use super::settings_tests::problems;
use checkin_domain::{Checkin, PasswordScheme};
use checkin_storage::conformance::{
    StoreUnderTest, apply_all, checkin, checks, details, location, new_checkin, new_user, tests,
    user, window,
};
use checkin_storage::{
    Accepted, AccountChange, Admission, Admitted, Applier, Audit, BulkLoad, DeadLetters, EventKind,
    EventList, EventPosition, Loaded, Locations, Log, Membership, NewEpoch, Registered, Searches,
    SecondFactors, SecurityEvent, SecurityEvents, Status, SwarmLoad, Users,
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
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let subject = on_own_clock(storage(&server));
    (server, subject)
}

/// The server uses its own clock for the times to live, which a test cannot change. So it waits until that clock, which
/// may be set meanwhile, has passed the end of the last millisecond.
pub(super) fn on_own_clock(storage: RedisStorage) -> StoreUnderTest {
    let client = storage.redis.client.clone();
    let storage = Arc::new(storage);
    let advance = Box::new(move |time: Duration| {
        let client = client.clone();
        let passing = async move {
            let now = async || {
                let time = texts(client.call(&[b"TIME"]).await.unwrap()).unwrap();
                let [seconds, micros] = [0, 1].map(|at| time[at].parse::<u64>().unwrap());
                Duration::from_secs(seconds) + Duration::from_micros(micros)
            };
            let end = now().await + time + Duration::from_millis(2);
            while let Some(left) = end.checked_sub(now().await) {
                tokio::time::sleep(left).await;
            }
        };
        Box::pin(passing) as _
    });
    StoreUnderTest { storage, advance }
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
    assert_eq!(ask(&storage, "KEYS {ncc:checkins}:key:*").await, [""; 0]);
    let [key] = ask(&storage, "KEYS {ncc:checkins}:keys:*").await.try_into().unwrap();
    assert_eq!(ask(&storage, &format!("HLEN {key}")).await, ["1"]);
    let life: i64 = ask(&storage, &format!("TTL {key}")).await[0].parse().unwrap();
    assert!((86_400..=172_900).contains(&life), "{life}");
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
    let comment = Some("hi".parse().unwrap());
    assert_eq!(log, [Checkin { comment, ..checkin("2-0", 1, 2) }]);
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

/// Earlier versions compared addresses without regard to normal forms, and had accounts that differ in nothing else.
#[tokio::test]
async fn an_account_is_found_under_the_form_in_which_it_was_indexed_before() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let (composed, decomposed) = ("Zo\u{eb}@example.com", "Zoe\u{308}@example.com");
    let mixed = "e\u{301}\u{eb}@example.com";
    storage.load_users(&[user(1, decomposed), user(2, mixed)]).await.unwrap();
    ask(&storage, "DEL ncc:users:email").await;
    let index = ["zoe\u{308}@example.com 1", &format!("{mixed} 2")].join(" ");
    ask(&storage, &format!("HSET ncc:users:email {index}")).await;
    let owner = async |email: &str| {
        let email = email.parse().unwrap();
        let user = storage.user_by_email(&email).await.unwrap();
        let account = storage.credentials_by_email(&email).await.unwrap();
        assert_eq!(user.as_ref().map(|user| user.id), account.map(|account| account.id));
        user.map(|user| user.id.get())
    };
    for (email, id) in [(decomposed, 1), (composed, 1), (mixed, 2)] {
        assert_eq!(owner(email).await, Some(id), "{email}");
    }
    for email in [composed, decomposed] {
        let again = storage.register(new_user(email)).await.unwrap();
        assert_eq!(again, Registered::EmailTaken);
        let loaded = storage.load_users(&[user(3, email)]).await.unwrap();
        assert_eq!(loaded, [Loaded::EmailTaken(user(1, email).id)]);
    }
    ask(&storage, &format!("HSET ncc:user:4 id 4 email {composed}")).await;
    ask(&storage, "HSET ncc:users:email zo\u{eb}@example.com 4").await;
    assert_eq!((owner(composed).await, owner(decomposed).await), (Some(4), Some(1)));
    // An erased account frees its address, under whichever form.
    let one = user(1, decomposed).id;
    let deleted = AccountChange::Status(Status::Deleted);
    storage.change_account(one, None, deleted).await.unwrap();
    assert!(storage.erase(one).await.unwrap());
    let left = ask(&storage, "HKEYS ncc:users:email").await;
    assert!(!left.iter().any(|key| key.contains("zoe")), "{left:?}");
    assert_eq!(owner(decomposed).await, Some(4));
}

/// A change that arrives after the search for it is not made, but made again with another search. The server has lost the
/// last numbers, as after a fail-over.
#[tokio::test]
async fn no_change_is_later_than_the_search_for_it() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let Registered::Opened(user) = storage.register(new_user("a@example.com")).await.unwrap()
    else {
        panic!("taken")
    };
    let (id, by) = (user.id, Admitted { epoch: 0, handle: None });
    let disabled = AccountChange::Status(Status::Disabled);
    let (searched, new) = (storage.redis.keys.searched(id), new_user("a@example.com").password);
    let changes = [
        storage.change_second_factor(id, &by, None, Some("app")),
        storage.change_password(id, None, &new),
        storage.raise_epoch(id, None),
        storage.change_account(id, None, disabled),
    ];
    for (change, epoch) in changes.into_iter().zip(1..) {
        let begun = epoch * 100;
        ask(&storage, &format!("SET {searched} {begun}")).await;
        let NewEpoch { epoch: raised, search } = change.await.unwrap().unwrap();
        assert_eq!((raised, search.number), (epoch, begun + 1));
        storage.begin_search(&search).await.unwrap();
        assert_eq!(ask(&storage, &format!("GET {searched}")).await, [(begun + 1).to_string()]);
        assert_eq!(storage.standing(id).await.unwrap().epoch, epoch);
    }
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
async fn a_location_of_a_venue_gets_no_id_that_another_program_used() {
    let server = RedisServer::start();
    let storage = storage(&server);
    for id in [4, 5] {
        let place = format!("HSET ncc:location:{id} id {id} name X category bar location 1,2");
        ask(&storage, &place).await;
    }
    let make = async |venue: &str| {
        let made = storage.make_locations(&[(venue.to_owned(), location(4))]).await.unwrap();
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
    // As after a fail-over that lost the effect of a check-in, and not its entry or the checkpoint.
    ask(&storage, "HINCRBY ncc:user:77 numCheckins -1").await;
    let advice = storage.audit().await.unwrap().advice.unwrap();
    let command = advice.split('`').nth(1).unwrap();
    ask(&storage, command.strip_prefix("redis-cli ").unwrap()).await;
    assert_eq!(apply_all(&storage, 9).await.new, 1);
    let audit = storage.audit().await.unwrap();
    assert_eq!((audit.different, audit.dead, audit.waiting, audit.advice), (0, 1, 0, None));
}

#[tokio::test]
async fn what_leaves_the_log_before_it_is_applied_is_counted() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(77, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    let append = async |count: usize| {
        for _ in 0..count {
            storage.append(new_checkin(77, 2, 3), None, Admission::ALL).await.unwrap();
        }
    };
    let lost = async || {
        apply_all(&storage, 2).await;
        storage.part_states().await.unwrap()[0].lost
    };
    apply_all(&storage, 9).await;
    append(5).await;
    assert_eq!(lost().await, 0);
    // Those that are applied may go.
    ask(&storage, "XTRIM ncc:checkins MAXLEN 0").await;
    append(2).await;
    assert_eq!(lost().await, 0);
    assert_eq!(storage.audit().await.unwrap().different, 0);
    append(3).await;
    ask(&storage, "XTRIM ncc:checkins MAXLEN 1").await;
    append(4).await;
    // Redis 6.2 does not count the entries that are added.
    if testkit::server_release() < (7, 0) {
        return assert_eq!(lost().await, 0);
    }
    assert_eq!(lost().await, 2);
    // A processor of an older version counts nothing, and is not mistaken for a loss.
    append(3).await;
    let last = ask(&storage, "XREVRANGE ncc:checkins + - COUNT 1").await;
    ask(&storage, &format!("HSET {{ncc:checkins}}:checkpoint id {}", last[0])).await;
    assert_eq!(lost().await, 2);
    append(1).await;
    ask(&storage, "XTRIM ncc:checkins MAXLEN 0").await;
    assert_eq!(lost().await, 3);
    let problems = problems(&storage).await;
    let found = problems.iter().find(|finding| finding.what.contains("removed 3 entries")).unwrap();
    assert!(found.advice.contains("HDEL {ncc:checkins}:checkpoint lost"), "{found:?}");
}

#[tokio::test]
async fn a_processor_is_live_by_the_clock_of_redis() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.join("one", Duration::from_secs(60)).await.unwrap();
    let [_, until] =
        ask(&storage, "ZRANGE ncc:processors 0 -1 WITHSCORES").await.try_into().unwrap();
    let [seconds, _] = ask(&storage, "TIME").await.try_into().unwrap();
    let (until, now) = (until.parse::<u64>().unwrap(), seconds.parse::<u64>().unwrap() * 1000);
    assert!((now + 57_000..now + 61_000).contains(&until), "{now} {until}");
}

#[tokio::test]
async fn new_accounts_wait_for_replicas_and_imports_do_not() {
    let server = RedisServer::start();
    let storage = storage(&server).wait_for_replicas(1, Duration::from_millis(50)).unwrap();
    storage.load_users(&[user(77, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    let refused = storage.register(new_user("bo@example.com")).await.unwrap_err();
    assert!(refused.is_logged(), "{refused:?}");
    assert_eq!(ask(&storage, "ZCARD ncc:users:ids").await, ["2"]);
}

/// A record is one command, because the other lists may be on nodes of a cluster that do not answer.
#[tokio::test]
async fn security_events_are_kept_by_the_clock_of_redis() {
    let server = RedisServer::start();
    let day = Duration::from_secs(24 * 60 * 60);
    let storage = storage(&server).with_clock(move || SystemTime::now() + 365 * day);
    let (kind, source) = (EventKind::RoleChanged, "users role".to_owned());
    let event = SecurityEvent { kind, account: None, address: None, source, detail: None };
    storage.record_event(EventList::Operators, &event, 10).await.unwrap();
    assert!(!ask(&storage, "INFO commandstats").await[0].contains("xtrim"));
    assert!(!storage.remove_old_events(day).await.unwrap());
    assert!(ask(&storage, "INFO commandstats").await[0].contains("cmdstat_xtrim:calls=4,"));
    let found = storage.security_events(EventList::Operators, EventPosition::before(0), 10);
    assert_eq!(found.await.unwrap().len(), 1);
}
