//! The conformance suite on SQLite, and tests of SQLite itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use sqlite_writer::Database;
use sqlite_writer::rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteStorage;
use super::schema::SCHEMA_VERSION;
use checkin_domain::CheckinId;
use checkin_storage::conformance::{
    StoreUnderTest, apply_all, checkin, checks, fold_all, location, new_checkin, new_user,
    remarked, tests, user, window,
};
use checkin_storage::{
    Accepted, AccountChange, Admission, Applier, Audience, Audit, BulkLoad, EventKind, EventList,
    EventPosition, Health, Loaded, Locations, Log, Privacy, Registered, Retracted, Retractions,
    SecondFactors, SecurityEvent, SecurityEvents, Severity, Standing, Status, Users,
};

const NOW_MS: u64 = 1_788_220_800_000;

async fn open(directory: &TempDir) -> SqliteStorage {
    SqliteStorage::open(Database::open(file(directory)).unwrap()).await.unwrap()
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("checkin.db")
}

/// A store whose clock only the test moves.
async fn subject() -> (TempDir, StoreUnderTest) {
    let directory = tempfile::tempdir().unwrap();
    let ms = Arc::new(AtomicU64::new(NOW_MS));
    let time = Arc::clone(&ms);
    let clock = move || UNIX_EPOCH + Duration::from_millis(time.load(Ordering::Relaxed));
    let storage = Arc::new(open(&directory).await.clock(clock));
    let advance = Box::new(move |time: Duration| {
        ms.fetch_add(time.as_millis().try_into().unwrap(), Ordering::Relaxed);
        Box::pin(std::future::ready(())) as _
    });
    (directory, StoreUnderTest { storage, advance })
}

checks!(tests: subject());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_handles_share_a_file() {
    let directory = tempfile::tempdir().unwrap();
    // Both create the tables at the same time.
    let (one, two) = tokio::join!(open(&directory), open(&directory));
    let opened = one.register(new_user("al@example.com")).await.unwrap();
    assert!(matches!(opened, Registered::Opened(_)));
    let taken = two.register(new_user("AL@example.com")).await.unwrap();
    assert_eq!(taken, Registered::EmailTaken);

    let window = window(Duration::from_secs(600));
    let append = |storage: &SqliteStorage, user| {
        let storage = storage.clone();
        async move { storage.append(new_checkin(user, 1, 1), Some("key"), window).await.unwrap() }
    };
    for user in 1..=50 {
        let answers = tokio::join!(append(&one, user), append(&two, user));
        let ((Accepted::Stored(first), Accepted::Replayed(second))
        | (Accepted::Replayed(first), Accepted::Stored(second))) = answers
        else {
            panic!("{answers:?}")
        };
        assert_eq!(first, second);
    }
    let log = one.checkins_between(0..=u64::MAX, None, 100).await.unwrap();
    assert_eq!(log.len(), 50);
    assert_eq!(log, two.checkins_between(0..=u64::MAX, None, 100).await.unwrap());
}

#[tokio::test]
async fn an_idempotency_key_is_deleted_after_a_day() {
    let (_directory, subject) = subject().await;
    let append = async |key| {
        subject.storage.append(new_checkin(1, 2, 3), Some(key), Admission::ALL).await.unwrap()
    };
    let first = append("key").await;
    (subject.advance)(Duration::from_secs(24 * 60 * 60) - Duration::from_millis(1)).await;
    let Accepted::Stored(id) = first else { panic!("{first:?}") };
    assert_eq!(append("key").await, Accepted::Replayed(id));
    (subject.advance)(Duration::from_millis(1)).await;
    assert!(matches!(append("key").await, Accepted::Stored(_)));
}

#[tokio::test]
async fn tables_of_a_later_version_are_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    database.write(|connection| connection.pragma_update(None, "user_version", 99)).await.unwrap();
    let error = SqliteStorage::open(database.clone()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let versions = format!("the tables have version 99, this program knows {SCHEMA_VERSION}");
    assert!(cause.contains(&versions), "{cause}");
    let tables = "SELECT count(*) FROM sqlite_schema";
    let count =
        |connection: &Connection| connection.query_row(tables, [], |row| row.get::<_, i64>(0));
    assert_eq!(database.read(count).await.unwrap(), 0);
}

#[tokio::test]
async fn an_unused_table_of_an_older_version_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let old = "CREATE TABLE account_sessions (user_id INTEGER PRIMARY KEY) STRICT";
    database.write(move |connection| connection.execute_batch(old)).await.unwrap();
    SqliteStorage::open(database.clone()).await.unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'account_sessions'";
    let count =
        |connection: &Connection| connection.query_row(tables, [], |row| row.get::<_, i64>(0));
    assert_eq!(database.read(count).await.unwrap(), 0);
}

#[tokio::test]
async fn a_diagnosis_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut findings = Vec::new();
    open(&directory).await.diagnose(&mut findings).await.unwrap();
    let path: &Path = &file(&directory);
    assert!(findings[0].what.contains(&path.display().to_string()), "{findings:?}");
    assert!(open(&directory).await.is_empty().await.unwrap());
}

#[tokio::test]
async fn if_the_ids_are_used_up_check_ins_are_refused_and_the_doctor_prints_the_repair() {
    let (directory, subject) = subject().await;
    let storage = &*subject.storage;
    storage.load_users(&[user(7, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    let append = async || storage.append(new_checkin(7, 2, 5), None, Admission::ALL).await;
    let concerns = async || {
        let mut findings = Vec::new();
        storage.diagnose(&mut findings).await.unwrap();
        findings.retain(|finding| finding.what.contains("ids of the log"));
        findings
    };
    let first = append().await.unwrap();
    assert_eq!(concerns().await, []);
    let Accepted::Stored(first) = first else { panic!("{first:?}") };
    let database = Database::open(file(&directory)).unwrap();
    let write = |sql: String| {
        let database = database.clone();
        async move { database.write(move |connection| connection.execute_batch(&sql)).await.unwrap() }
    };
    write(format!("INSERT INTO checkins VALUES ({0}, {0}, {0}, 7, 2, 5, NULL)", i64::MAX)).await;
    let error = append().await.unwrap_err();
    assert!(error.is_used_up(), "{error:?}");
    let [finding] = concerns().await.try_into().unwrap();
    assert_eq!(finding.severity, Severity::Problem);
    write(finding.advice.split('`').nth(1).unwrap().to_owned()).await;
    let answer = append().await.unwrap();
    let Accepted::Stored(next) = answer else { panic!("{answer:?}") };
    assert!(next > first);
    assert_eq!(concerns().await, []);
    let ahead = checkin("99999999999999-7", 7, 2);
    storage.load_checkins(&[ahead]).await.unwrap();
    append().await.unwrap();
    let [finding] = concerns().await.try_into().unwrap();
    assert_eq!(finding.severity, Severity::Warning);
}

#[tokio::test]
async fn an_audit_finds_figures_that_other_programs_changed() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(&directory).await;
    storage.load_users(&[user(7, "al@example.com")]).await.unwrap();
    storage.load_locations(&[location(2)]).await.unwrap();
    storage.append(new_checkin(7, 2, 5), None, Admission::ALL).await.unwrap();
    apply_all(&storage, 9).await;
    assert_eq!(storage.audit().await.unwrap().different, 0);
    for (sql, wanted) in [
        ("UPDATE users SET num_checkins = num_checkins + 3", "numCheckins 7 4"),
        ("UPDATE users SET num_checkins = num_checkins - 3, last_checkin = 1", "lastCheckin 1"),
        ("UPDATE locations SET num_stars = 15", "numStars 15 14"),
        ("UPDATE location_ratings SET stars = 4", "ratedStars 4 5"),
    ] {
        storage.file.write(|connection| connection.execute(sql, [])).await.unwrap();
        let audit = storage.audit().await.unwrap();
        let found = audit.differences.iter();
        let mut found =
            found.map(|found| format!("{} {} {}", found.figure, found.stored, found.counted));
        assert!(found.any(|found| found.starts_with(wanted)), "{sql}: {:?}", audit.differences);
    }
}

/// A file of version 1, with a user and a location whose figures contain the one check-in of the log.
#[tokio::test]
async fn tables_of_version_1_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    database
        .write(|connection| connection.execute_batch(include_str!("version_1_tests.sql")))
        .await
        .unwrap();
    for _ in 0..2 {
        let storage = SqliteStorage::open(database.clone()).await.unwrap();
        assert_eq!(storage.backlog().await.unwrap(), 1);
    }
    let storage = SqliteStorage::open(database).await.unwrap();
    assert_eq!(apply_all(&storage, 9).await.new, 1);
    let user = storage.user(7.try_into().unwrap()).await.unwrap().unwrap();
    assert_eq!((user.num_checkins, user.last_checkin), (3, Some(1_609_602_085_397)));
    let location = storage.location(2.try_into().unwrap()).await.unwrap().unwrap();
    assert_eq!((location.num_checkins, location.num_stars), (2, 9));
    assert_eq!(storage.audit().await.unwrap().different, 0);
    let boxes = "SELECT (SELECT count(*) FROM location_boxes)
                      + (SELECT count(*) FROM location_words WHERE location_words MATCH 'coffee')";
    let count =
        |connection: &Connection| connection.query_row(boxes, [], |row| row.get::<_, i64>(0));
    assert_eq!(storage.file.read(count).await.unwrap(), 2);
}

/// Other programs use `users` like the table that it was.
#[tokio::test]
async fn users_can_be_inserted_updated_and_deleted_with_sql() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(&directory).await;
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    let change = async |sql: &'static str| {
        storage.file.write(move |connection| connection.execute_batch(sql)).await.unwrap();
    };
    change(
        "INSERT INTO users (first_name, last_name, email, email_canonical, password, last_seen_at)
         SELECT first_name, last_name, 'two@example.com', 'two@example.com', password, 3 FROM users",
    )
    .await;
    change(
        "UPDATE users SET id = 7, num_checkins = num_checkins + 1, first_name = 'Al' WHERE id = 1",
    )
    .await;
    let users = storage.users_after(None, 9).await.unwrap();
    let [two, seven] = &users[..] else { panic!("{users:?}") };
    assert_eq!((two.id.get(), two.num_checkins, two.last_seen_at.unwrap().get()), (2, 0, 3));
    assert_eq!((seven.id.get(), seven.first_name.as_str()), (7, "Al"));
    assert_eq!(seven.num_checkins, user(1, "one@example.com").num_checkins + 1);
    change("DELETE FROM users WHERE id = 2").await;
    assert_eq!(storage.users_after(None, 9).await.unwrap(), users[1..]);
}

/// Earlier versions compared addresses without regard to normal forms, and had accounts that differ in nothing else.
#[tokio::test]
async fn an_account_is_found_under_the_form_in_which_it_was_indexed_before() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(&directory).await;
    let (composed, decomposed) = ("Zo\u{eb}@example.com", "Zoe\u{308}@example.com");
    let mixed = "e\u{301}\u{eb}@example.com";
    storage.load_users(&[user(1, decomposed), user(2, mixed)]).await.unwrap();
    let older = |id: i64, key: &'static str| {
        let sql = "UPDATE accounts SET email_canonical = ?2 WHERE id = ?1";
        let older = move |connection: &Connection| connection.execute(sql, (id, key));
        storage.file.write(older)
    };
    older(1, "zoe\u{308}@example.com").await.unwrap();
    older(2, "e\u{301}\u{eb}@example.com").await.unwrap();
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
    storage.load_users(&[user(4, "four@example.com")]).await.unwrap();
    older(4, "zo\u{eb}@example.com").await.unwrap();
    assert_eq!((owner(composed).await, owner(decomposed).await), (Some(4), Some(1)));
}

/// What version 15 added.
const VERSION_15: &str = "DROP TABLE login_events; DROP TABLE operator_events;";

/// What version 13 added.
const VERSION_13: &str = "DROP TABLE private_checkins; DROP TABLE private_retractions;
                          DROP TABLE private_visits;
                          ALTER TABLE idempotency_keys DROP COLUMN private;";

/// What version 12 added.
const VERSION_12: &str =
    "DROP TABLE retractions; ALTER TABLE accounts DROP COLUMN base_last_seen_at;";

/// Gives the tables the form of an earlier version than 11.
async fn downgraded(database: &Database, downgrade: &'static str) {
    let later = "ALTER TABLE checkins DROP COLUMN comment;
                 ALTER TABLE idempotency_keys DROP COLUMN comment;";
    let sql = [VERSION_15, VERSION_13, VERSION_12, later, downgrade].concat();
    database.write(move |connection| connection.execute_batch(&sql)).await.unwrap();
}

/// A file of version 4, in which the figures of users were beside their passwords.
#[tokio::test]
async fn tables_of_version_4_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let users = [user(1, "one@example.com"), user(2, "two@example.com")];
    storage.load_users(&users).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    storage.load_checkins(&[checkin("9000-0", 2, 1)]).await.unwrap();
    apply_all(&storage, 9).await;
    let before = storage.users_after(None, 9).await.unwrap();
    let downgrade = include_str!("version_4_tests.sql");
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database).await.unwrap();
    assert_eq!(storage.users_after(None, 9).await.unwrap(), before);
    let taken = storage.register(new_user("TWO@example.com")).await.unwrap();
    assert_eq!(taken, Registered::EmailTaken);
    storage.load_checkins(&[checkin("9001-0", 2, 1)]).await.unwrap();
    assert_eq!(apply_all(&storage, 9).await.new, 1);
    let after = storage.user(2.try_into().unwrap()).await.unwrap().unwrap();
    assert_eq!(after.num_checkins, before[1].num_checkins + 1);
    assert_eq!(storage.audit().await.unwrap().different, 0);
}

/// A file of version 5, which kept all check-ins.
#[tokio::test]
async fn tables_of_version_5_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    let old = ["9000-0", "9001-0", "9002-0"].map(|id| checkin(id, 1, 1));
    storage.load_checkins(&old).await.unwrap();
    apply_all(&storage, 9).await;
    let downgrade = "DROP TABLE folded_ratings; DROP TABLE horizon; DROP TABLE account_standings;
                     PRAGMA user_version = 5";
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database).await.unwrap();
    assert_eq!(storage.load_checkins(&old).await.unwrap(), [Loaded::Unchanged; 3]);
    assert_eq!(fold_all(&storage, Duration::from_secs(86_400), None).await, 2);
    assert_eq!(storage.audit().await.unwrap().different, 0);
}

/// A file of version 6, which kept only the epochs of accounts.
#[tokio::test]
async fn tables_of_version_6_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    let downgrade = "DROP TABLE account_standings;
                     CREATE TABLE account_epochs
                         (user_id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
                     INSERT INTO account_epochs VALUES (1, 3);
                     PRAGMA user_version = 6";
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database).await.unwrap();
    let id = 1.try_into().unwrap();
    assert_eq!(storage.standing(id).await.unwrap(), Standing { epoch: 3, ..Standing::default() });
    assert_eq!(storage.raise_epoch(id, None).await.unwrap().unwrap().epoch, 4);
}

/// A file of version 7, in which each account was active and none an operator.
#[tokio::test]
async fn tables_of_version_7_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    let downgrade = "DROP TABLE account_standings;
                     CREATE TABLE account_standings (
                         user_id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL DEFAULT 0, kept TEXT
                     ) STRICT;
                     INSERT INTO account_standings VALUES (1, 3, 'kept');
                     PRAGMA user_version = 7";
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database).await.unwrap();
    let id = 1.try_into().unwrap();
    let kept = Some("kept".to_owned());
    let standing = Standing { epoch: 3, kept, ..Standing::default() };
    assert_eq!(storage.standing(id).await.unwrap(), standing);
    let disabled = AccountChange::Status(Status::Disabled);
    assert_eq!(storage.change_account(id, None, disabled).await.unwrap().unwrap().epoch, 4);
}

/// A file of version 8, which had no second factors.
#[tokio::test]
async fn tables_of_version_8_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    let downgrade = "DROP TABLE second_factors; DROP TABLE pending_steps; PRAGMA user_version = 8";
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let id = 1.try_into().unwrap();
    assert!(storage.replace_second_factor(id, None, Some("one")).await.unwrap());
    assert_eq!(storage.second_factor(id).await.unwrap().as_deref(), Some("one"));
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(database.read(version).await.unwrap(), SCHEMA_VERSION);
}

/// A file of version 9, which had no audiences.
#[tokio::test]
async fn tables_of_version_9_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    storage.load_users(&[user(1, "one@example.com")]).await.unwrap();
    let downgrade = "DROP TABLE account_privacy; PRAGMA user_version = 9";
    downgraded(&database, downgrade).await;

    let storage = SqliteStorage::open(database).await.unwrap();
    let id = 1.try_into().unwrap();
    storage.set_audience(id, Audience::Nobody).await.unwrap();
    assert_eq!(storage.hidden_among(&[id]).await.unwrap().len(), 1);
}

/// A file of version 10, which had no comments.
#[tokio::test]
async fn tables_of_version_10_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let append = async |storage: &SqliteStorage, checkin| {
        storage.append(checkin, Some("key"), Admission::ALL).await.unwrap()
    };
    let first = append(&storage, new_checkin(1, 2, 3)).await;
    let Accepted::Stored(id) = first else { panic!("{first:?}") };
    downgraded(&database, "PRAGMA user_version = 10").await;

    let storage = SqliteStorage::open(database).await.unwrap();
    assert_eq!(append(&storage, new_checkin(1, 2, 3)).await, Accepted::Replayed(id));
    assert_eq!(append(&storage, remarked(1, 2, "new")).await, Accepted::KeyReused);
    let remarked = remarked(1, 2, "new");
    storage.append(remarked.clone(), None, Admission::ALL).await.unwrap();
    let latest = storage.latest_checkins(CheckinId::MAX, 9).await.unwrap();
    let comments: Vec<_> = latest.iter().map(|checkin| checkin.comment.clone()).collect();
    assert_eq!(comments, [remarked.comment, None]);
}

/// A file of version 11, which had no retracted check-ins.
#[tokio::test]
async fn tables_of_version_11_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let before = user(1, "one@example.com");
    storage.load_users(std::slice::from_ref(&before)).await.unwrap();
    storage.load_locations(&[location(1)]).await.unwrap();
    let sql = [VERSION_15, VERSION_13, VERSION_12, "PRAGMA user_version = 11"].concat();
    database.write(move |connection| connection.execute_batch(&sql)).await.unwrap();

    let storage = SqliteStorage::open(database).await.unwrap();
    let answer = storage.append(new_checkin(1, 1, 5), None, Admission::ALL).await.unwrap();
    let Accepted::Stored(id) = answer else { panic!("{answer:?}") };
    apply_all(&storage, 9).await;
    assert_eq!(storage.retract(before.id, id).await.unwrap(), Retracted::Done);
    assert_eq!(storage.user(before.id).await.unwrap(), Some(before));
    assert_eq!(storage.audit().await.unwrap().different, 0);
}

/// A file of version 13, whose accounts were indexed under their own forms of addresses.
#[tokio::test]
async fn tables_of_version_13_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let (mixed, composed) = ("e\u{301}\u{eb}@example.com", "\u{e9}\u{eb}@example.com");
    let (one, other) = ("Zoe\u{308}@example.com", "Zo\u{eb}@example.com");
    let addresses = [mixed, one, "four@example.com", "five@example.com"];
    let users: Vec<_> = (1..).zip(addresses).map(|(id, email)| user(id, email)).collect();
    storage.load_users(&users).await.unwrap();
    let older = format!(
        "{VERSION_15}
         UPDATE accounts SET email_canonical = lower(email);
         UPDATE accounts SET email = '{other}', email_canonical = 'zo\u{eb}@example.com' WHERE id = 3;
         UPDATE accounts SET email = 'no address', email_canonical = '\u{eb}' WHERE id = 4;
         PRAGMA user_version = 13"
    );
    database.write(move |connection| connection.execute_batch(&older)).await.unwrap();

    let storage = SqliteStorage::open(database).await.unwrap();
    let owner = async |email: &str| {
        let found = storage.user_by_email(&email.parse().unwrap()).await.unwrap();
        found.map(|user| user.id.get())
    };
    for (email, id) in [(mixed, 1), (composed, 1), (one, 2), (other, 3)] {
        assert_eq!(owner(email).await, Some(id), "{email}");
    }
    let again = storage.register(new_user(composed)).await.unwrap();
    assert_eq!(again, Registered::EmailTaken);
}

/// A file of version 14, which had one list for all security events but failed logins.
#[tokio::test]
async fn tables_of_version_14_are_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(file(&directory)).unwrap();
    let storage = SqliteStorage::open(database.clone()).await.unwrap();
    let record = async |storage: &SqliteStorage, list, kind| {
        let source = "auth".to_owned();
        let event = SecurityEvent { kind, account: None, address: None, source, detail: None };
        storage.record_event(list, &event, 2).await.unwrap();
    };
    record(&storage, EventList::Changes, EventKind::Login).await;
    record(&storage, EventList::Changes, EventKind::RoleChanged).await;
    let sql = [VERSION_15, "PRAGMA user_version = 14"].concat();
    database.write(move |connection| connection.execute_batch(&sql)).await.unwrap();

    let storage = SqliteStorage::open(database).await.unwrap();
    for _ in 0..3 {
        record(&storage, EventList::Logins, EventKind::Login).await;
        record(&storage, EventList::Operators, EventKind::AccountDisabled).await;
    }
    let kinds = async |list| {
        let found = storage.latest_security_events(list, EventPosition::END, 9).await.unwrap();
        found.iter().map(|found| found.event.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(EventList::Changes).await, [EventKind::RoleChanged, EventKind::Login]);
    assert_eq!(kinds(EventList::Logins).await, [EventKind::Login; 2]);
    assert_eq!(kinds(EventList::Operators).await, [EventKind::AccountDisabled; 2]);
}

/// Dropping the last handle returns when the file is closed, even if a write was cancelled and has not
/// run yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_given_up_does_not_keep_the_file_open() {
    let directory = tempfile::tempdir().unwrap();
    let storage = open(&directory).await;
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let checkins = [checkin("1-0", 1, 1)];
    // Long enough for the write to start and to wait for the other connection.
    let load = tokio::time::timeout(Duration::from_millis(100), storage.load_checkins(&checkins));
    assert!(load.await.is_err());
    let closed = std::thread::spawn(move || drop(storage));
    other.execute_batch("COMMIT").unwrap();
    closed.join().unwrap();
    let log = std::fs::metadata(directory.path().join("checkin.db-wal")).unwrap();
    assert_eq!(log.len(), 0, "the write-ahead log is not in the file yet");
}
