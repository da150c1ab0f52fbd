//! The log in Redis: its ids, times and partitions, and the script that appends.

use std::time::Duration;

use checkin_domain::{CheckinId, NewCheckin, UserId};
use checkin_storage::conformance::{admission_cases, apply_all, location, new_checkin, user};
use checkin_storage::{
    Accepted, Admission, Applier, Audit, Batch, BulkLoad, Decision, Finding, Health, Log, LogEntry,
    Severity, Users,
};
use futures_util::future::join_all;
use testkit::RedisServer;

use super::RedisStorage;
use super::keys::IdempotencyKey;
use super::settings_tests::found;
use super::tests::{ask, patient, storage};

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
    assert_eq!(concerns(found(&storage).await), []);
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
                let newest = &storage.latest_checkins(CheckinId::MAX, 1).await.unwrap()[0];
                let now = crate::clock::Clock::default().now_ms();
                assert!(newest.id == id && newest.time_ms.abs_diff(now) < 60_000, "{newest:?}");
            }
            let concerns = concerns(found(storage).await);
            assert_eq!(concerns.len(), 1, "{concerns:?}");
            assert!(concerns[0].what.contains("ahead of the clock"), "{concerns:?}");
        }
    }
}

#[tokio::test]
async fn a_log_whose_ids_are_used_up_is_refused_and_the_doctor_has_the_way_out() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
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
    let findings = found(&storage).await;
    let finding = findings.iter().find(|finding| finding.what.contains("used up")).unwrap();
    assert_eq!(finding.severity, Severity::Problem);
    let commands: Vec<&str> = finding.advice.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 2, "{}", finding.advice);
    for command in commands {
        // As redis-cli reads it.
        let words: Vec<&str> = match command.split('"').collect::<Vec<_>>()[..] {
            [name, script, rest] => {
                [name.trim(), script].into_iter().chain(rest.split_whitespace()).collect()
            }
            _ => command.split(' ').collect(),
        };
        storage.redis.call(&words).await.unwrap();
    }
    assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["1"]);
    append().await.unwrap();
    assert_eq!(count().await, 1);
    let findings = found(&storage).await;
    assert!(findings.iter().all(|finding| finding.severity != Severity::Problem), "{findings:?}");
}

#[tokio::test]
async fn appends_of_the_same_moment_are_decided_in_turn_and_share_a_run() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let window = Admission { duplicate_window: Duration::from_secs(60), ..Admission::ALL };
    let short = Admission { max_backlog: 42, ..Admission::ALL };
    let appends = (0..50).map(|number| {
        let (storage, (key, admission)) = (
            &storage,
            match number {
                // The first two are one check-in sent twice, the next two are identical.
                0 | 1 => (Some("key"), Admission::ALL),
                2 | 3 => (None, window),
                4 | 5 => (Some("other"), Admission::ALL),
                _ => (None, short),
            },
        );
        let location = if number < 5 { number / 2 + 1 } else { number };
        async move { storage.append(new_checkin(1, location, 1), key, admission).await.unwrap() }
    });
    let answers = join_all(appends).await;
    let stored = answers.iter().filter_map(|answer| match answer {
        Accepted::Stored(id) => Some(*id),
        _ => None,
    });
    let ids: Vec<CheckinId> = stored.collect();
    assert!(ids.is_sorted() && ids.len() == 42, "{answers:?}");
    assert_eq!(answers[1], Accepted::Replayed(ids[0]));
    assert_eq!(answers[3], Accepted::Duplicate);
    assert_eq!(answers[5], Accepted::KeyReused);
    assert_eq!(answers[45..], [Accepted::Behind; 5]);
    assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["42"]);
    let info = ask(&storage, "INFO commandstats").await.concat();
    assert!(info.contains("cmdstat_xadd:calls=42,"), "{info}");
    // One for each change of the limits, and one that found no script.
    let runs = ["cmdstat_evalsha:calls=4,", "cmdstat_eval:calls=1,"];
    assert!(runs.iter().all(|calls| info.contains(calls)), "{info}");
}

#[tokio::test]
async fn a_check_in_that_fails_does_not_harm_those_of_the_same_moment() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let user = UserId::try_from(1).unwrap();
    // A store that an older version made, whose keys have no hash in common.
    ask(&storage, "HSET {ncc:checkins}:checkpoint counted 0").await;
    let key = storage.redis.keys.old_idempotency(user, &IdempotencyKey::new(user, "7"));
    ask(&storage, &format!("LPUSH {key} x")).await;
    for failing in [7, 0] {
        let appends = (0..20).map(|number| {
            let (storage, key) = (&storage, ((number + 7 - failing) % 20).to_string());
            async move { storage.append(new_checkin(1, 1, 1), Some(&key), Admission::ALL).await }
        });
        let answers = join_all(appends).await;
        for (number, answer) in answers.iter().enumerate() {
            assert_eq!(answer.is_err(), number == failing, "{number} {answer:?}");
        }
        assert!(answers[failing].as_ref().unwrap_err().is_unreadable());
        assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["19"]);
    }
}

#[tokio::test]
async fn an_idempotency_key_is_found_in_each_of_its_hashes() {
    let server = RedisServer::start();
    let storage = storage(&server);
    let user = UserId::try_from(1).unwrap();
    // The last id is too large for the short form.
    for (key, log) in [("short", "1-0"), ("long", "1844674407370955161-0")] {
        ask(&storage, &format!("XADD ncc:checkins {log} userId 1")).await;
        let append = async |location| {
            let checkin = new_checkin(1, location, 5);
            storage.append(checkin, Some(key), Admission::ALL).await.unwrap()
        };
        let Accepted::Stored(id) = append(7_654_321).await else { panic!("not stored") };
        let hashes = storage.redis.keys.idempotency(user, &IdempotencyKey::new(user, key));
        let has = async |hash: &String| ask(&storage, &format!("EXISTS {hash}")).await == ["1"];
        let mut at = 0;
        while !has(&hashes[at]).await {
            at += 1;
        }
        let life: u64 = ask(&storage, &format!("PTTL {}", hashes[at])).await[0].parse().unwrap();
        assert!((86_400_000..172_900_000).contains(&life), "{life}");
        for _ in 0..hashes.len() {
            assert_eq!(append(7_654_321).await, Accepted::Replayed(id));
            assert_eq!(append(7_654_322).await, Accepted::KeyReused);
            let next = (at + 1) % hashes.len();
            ask(&storage, &format!("RENAME {} {}", hashes[at], hashes[next])).await;
            at = next;
        }
    }
}

/// For a day after an upgrade, older receivers may run beside newer ones.
#[tokio::test]
async fn idempotency_keys_are_the_same_to_older_receivers() {
    const DAY_MS: u64 = 86_400_000;
    let server = RedisServer::start();
    let (user, now) = (UserId::try_from(1).unwrap(), crate::clock::Clock::default().now_ms());
    let started = async |days: u64| {
        let storage = storage(&server);
        let since = now - days * DAY_MS - 1000;
        ask(&storage, &format!("HSET {{ncc:checkins}}:checkpoint keys-since {since}")).await;
        storage
    };
    let name = |storage: &RedisStorage, key| {
        storage.redis.keys.old_idempotency(user, &IdempotencyKey::new(user, key))
    };
    let append = async |storage: &RedisStorage, key, stars| {
        let checkin = new_checkin(1, 2, stars);
        storage.append(checkin, Some(key), Admission::ALL).await.unwrap()
    };
    // A store that an older version made.
    let storage = storage(&server);
    ask(&storage, "HSET {ncc:checkins}:checkpoint counted 0").await;
    let theirs = name(&storage, "theirs");
    storage.redis.call(&["SET", &theirs, "1 2 3 5-0"]).await.unwrap();
    for storage in [&storage, &started(0).await, &started(1).await] {
        assert_eq!(append(storage, "theirs", 3).await, Accepted::Replayed("5-0".parse().unwrap()));
        assert_eq!(append(storage, "theirs", 4).await, Accepted::KeyReused);
    }
    // With the comment, of which there is a digest now.
    storage
        .redis
        .call(&["SET", &name(&storage, "remarked"), "1 2 3 was closed 6-0"])
        .await
        .unwrap();
    let comment = Some("was closed".parse().unwrap());
    let remarked = NewCheckin { comment, ..new_checkin(1, 2, 3) };
    let answer = storage.append(remarked, Some("remarked"), Admission::ALL).await.unwrap();
    assert_eq!(answer, Accepted::Replayed("6-0".parse().unwrap()));
    for (days, key, both) in [(0, "a", true), (1, "b", false), (2, "c", false)] {
        let storage = started(days).await;
        let Accepted::Stored(id) = append(&storage, key, 5).await else { panic!("{key}") };
        let ours = ask(&storage, &format!("GET {}", name(&storage, key))).await;
        assert_eq!(ours, if both { vec![format!("1 2 5 {id}")] } else { vec![] });
        assert_eq!(append(&storage, key, 5).await, Accepted::Replayed(id));
    }
    // By then no older receiver runs any more, and a process looks for their keys only at its start.
    let storage = started(2).await;
    append(&storage, "d", 5).await;
    assert!(matches!(append(&storage, "theirs", 3).await, Accepted::Stored(_)));
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
    // Three of the partitions are empty.
    of(4).append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
    assert!(of(1).prepare().await.is_err());
    of(4).prepare().await.unwrap();

    let server = RedisServer::start();
    let of = |partitions| RedisStorage::new(patient(&server.url()), "ncc", partitions);
    of(1).append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
    of(1).prepare().await.unwrap();
    assert!(of(2).prepare().await.is_err());
    // What was counted belongs to one partition, although the log is empty or gone.
    for empty in ["XTRIM ncc:checkins MAXLEN 0", "DEL ncc:checkins"] {
        ask(&of(1), empty).await;
        of(1).prepare().await.unwrap();
        assert!(of(2).prepare().await.is_err(), "{empty}");
    }
}

/// Receivers of an older version may run beside newer ones, although nobody has checked in yet through some
/// partitions.
#[tokio::test]
async fn an_empty_partition_of_an_old_log_may_have_older_receivers() {
    let user = UserId::try_from(1).unwrap();
    for is_old in [true, false] {
        let server = RedisServer::start();
        let storage = RedisStorage::new(patient(&server.url()), "ncc", 4);
        if is_old {
            ask(&storage, "SET ncc:checkins:partitions 4").await;
            ask(&storage, "XADD ncc:checkins:{0} 5-0 userId 4 locationId 2 starRating 3").await;
        }
        storage.prepare().await.unwrap();
        let append = async |key| {
            let appended = storage.append(new_checkin(1, 2, 3), Some(key), Admission::ALL).await;
            appended.unwrap()
        };
        // The partition is not empty any more when the older receiver accepts a check-in.
        let Accepted::Stored(first) = append("ours").await else { panic!("not stored") };
        let theirs = storage.redis.keys.old_idempotency(user, &IdempotencyKey::new(user, "theirs"));
        storage.redis.call(&["SET", &theirs, "1 2 3 6-0"]).await.unwrap();
        let again = append("theirs").await;
        assert_eq!(again == Accepted::Replayed("6-0".parse().unwrap()), is_old, "{again:?}");
        // And an older receiver knows ours.
        let ours = storage.redis.keys.old_idempotency(user, &IdempotencyKey::new(user, "ours"));
        let known = if is_old { vec![format!("1 2 3 {first}")] } else { vec![] };
        assert_eq!(ask(&storage, &format!("GET {ours}")).await, known);
    }
}

/// Whether the script that appends decides as [`Admission::decide`] does.
#[tokio::test]
async fn the_script_admits_what_the_rules_admit() {
    let server = RedisServer::start();
    let checkin = new_checkin(7, 2, 3);
    let now_ms = crate::clock::Clock::default().now_ms();
    for (number, (admission, mut facts)) in admission_cases(checkin.clone(), now_ms).enumerate() {
        let storage = RedisStorage::new(patient(&server.url()), &format!("case-{number}"), 1);
        let keys = &storage.redis.keys;
        for ms in 1..=facts.length {
            ask(&storage, &format!("XADD {} {ms}-0 userId 1", keys.log(0))).await;
        }
        ask(&storage, &format!("HSET {} counted {}", keys.checkpoint(0), facts.counted)).await;
        if let Some(last_ms) = facts.last_identical_ms {
            ask(&storage, &format!("SET {} {last_ms}", keys.recent(&checkin))).await;
        }
        if let Some((first, id)) = &facts.remembered {
            let key = IdempotencyKey::new(checkin.user, "key");
            let key = keys.old_idempotency(checkin.user, &key);
            let value = format!("{} {} {} {id}", first.user, first.location, first.stars);
            storage.redis.call(&["SET", &key, &value]).await.unwrap();
        }
        facts.now_ms = crate::clock::Clock::default().now_ms();
        let answer = storage.append(checkin.clone(), Some("key"), admission).await.unwrap();
        let length = ask(&storage, &format!("XLEN {}", keys.log(0))).await[0].parse::<u64>();
        let case = format!("{admission:?} {facts:?}");
        match admission.decide(&checkin, &facts) {
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

/// What a process remembers about the end of the log is a guess: others append, remove and lose entries.
#[tokio::test]
async fn an_append_after_others_changed_the_log_comes_after_the_last_id() {
    let server = RedisServer::start();
    let [storage, other] = [(); 2].map(|()| storage(&server));
    let append = async |storage: &RedisStorage| {
        let answer = storage.append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
        let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
        id
    };
    let mut ids = vec![append(&storage).await];
    // The other process appends as well.
    for _ in 0..20 {
        ids.extend([append(&other).await, append(&storage).await]);
    }
    // An entry ahead of the clock replaces another, so that the length is the same.
    for command in ["XADD ncc:checkins 2893456000000-7 a b", "XDEL ncc:checkins"] {
        let first = if command.starts_with("XDEL") { ids[0].to_string() } else { String::new() };
        ask(&storage, format!("{command} {first}").trim()).await;
    }
    ids.extend([append(&storage).await, append(&other).await]);
    assert!(ids.is_sorted() && ids[41] > "2893456000000-7".parse().unwrap(), "{ids:?}");
    // The last entries leave the log, but their ids are not used again.
    for id in &ids[39..] {
        ask(&storage, &format!("XDEL ncc:checkins {id}")).await;
    }
    ids.extend([append(&other).await, append(&storage).await]);
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    // A log that was lost begins again.
    ask(&storage, "DEL ncc:checkins").await;
    let first = append(&storage).await;
    assert!(append(&storage).await > first);
    assert_eq!(ask(&storage, "XLEN ncc:checkins").await, ["2"]);
}

#[tokio::test]
async fn check_ins_that_cannot_be_replicated_are_not_appended_again() {
    let server = RedisServer::start();
    let admin = storage(&server);
    admin.load_users(&[user(1, "al@example.com")]).await.unwrap();
    admin.load_locations(&[location(1)]).await.unwrap();
    ask(&admin, "ACL SETUSER al on >secret ~* +@all -wait").await;
    let url = format!("redis://al:secret@127.0.0.1:{}", server.port());
    let storage = RedisStorage::new(patient(&url), "ncc", 1);
    let storage = storage.wait_for_replicas(1, Duration::from_millis(50)).unwrap();
    let append = || storage.append(new_checkin(1, 1, 3), None, Admission::ALL);
    for appended in join_all((0..10).map(|_| append())).await {
        assert!(appended.unwrap_err().is_logged());
    }
    // Those that were sent together are in the log once, and the others are not sent at all.
    let length = ask(&admin, "XLEN ncc:checkins").await[0].parse::<usize>().unwrap();
    assert!((1..=10).contains(&length), "{length}");
    assert!(append().await.unwrap_err().is_logged());
}

/// A processor that died had dated an entry by a clock that was behind, and the next one has the right time.
#[tokio::test]
async fn a_check_in_that_is_applied_again_keeps_its_first_time() {
    let server = RedisServer::start();
    let storage = storage(&server);
    storage.load_users(&[user(1, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(1), location(2)]).await.unwrap();
    storage.append(new_checkin(1, 1, 1), None, Admission::ALL).await.unwrap();
    assert_eq!(apply_all(&storage, 9).await.new, 1);
    storage.append(new_checkin(1, 2, 1), None, Admission::ALL).await.unwrap();
    let mut checkins = storage.latest_checkins(CheckinId::MAX, 9).await.unwrap();
    checkins.reverse();
    let last = checkins[1].clone();
    checkins[0].time_ms += 3_600_000;
    let entries = checkins.into_iter().map(LogEntry::Checkin).collect();
    let again = Batch { part: 0, after: CheckinId::MIN, entries };
    assert_eq!(storage.apply(&again).await.unwrap().new, 1);
    let shown = storage.user(last.user).await.unwrap().unwrap();
    assert_eq!((shown.num_checkins, shown.last_checkin), (3 + 2, Some(last.time_ms)));
    assert_eq!(shown.last_seen_at, Some(last.location));
    assert_eq!(storage.audit().await.unwrap().different, 0);
}
