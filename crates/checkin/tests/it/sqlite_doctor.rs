//! What `checkin doctor` says of an embedded store, without changing it; and what other commands say
//! of one that they cannot use.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use sqlite_writer::rusqlite::Connection;

use crate::backup::damage;
use crate::harness::{CHECKIN, Ended, Site, accepted, at, complaints, names};

/// Each file's name, content, mode and time of the last change.
fn state(site: &Site) -> Vec<(String, Vec<u8>, u32, SystemTime)> {
    let directory = site.directory.path();
    let of = |name: String| {
        let path = directory.join(&name);
        let file = fs::metadata(&path).unwrap();
        (name, fs::read(&path).unwrap(), file.permissions().mode(), file.modified().unwrap())
    };
    names(directory).into_iter().map(of).collect()
}

/// What the doctor prints, which changes nothing.
#[track_caller]
fn examined(site: &Site) -> Ended {
    let before = state(site);
    site.run("doctor", &["--verify"]);
    let ended = site.run("doctor", &[]);
    assert!(before == state(site), "the doctor changed something: {}", ended.stdout);
    assert_eq!(ended.stderr, "");
    ended
}

#[track_caller]
fn finds(site: &Site, mark: &str, says: &[&str]) {
    let ended = examined(site);
    let line = |line: &&str| line.starts_with(mark) && says.iter().all(|text| line.contains(text));
    assert!(ended.stdout.lines().any(|text| line(&text)), "{mark} {says:?}: {}", ended.stdout);
    assert_eq!(ended.code, i32::from(mark == "PROBLEM"), "{}", ended.stdout);
}

/// A site whose services were killed with data in the write-ahead log.
async fn killed() -> Site {
    let site = Site::sqlite();
    let (mut auth, mut receiver) = (site.auth(&[]), site.receiver(&[]));
    let mut client = receiver.client_like(&auth.logged_in().await);
    accepted(&client.post(CHECKIN, &at(2, 5)).await);
    auth.program.kill();
    receiver.program.kill();
    site
}

#[tokio::test]
async fn the_doctor_changes_nothing() {
    let missing = Site::empty_sqlite();
    finds(&missing, "PROBLEM", &["there is no store at", "checkin.db"]);
    assert!(names(missing.directory.path()).is_empty());

    let site = Site::sqlite();
    fs::remove_file(site.directory.path().join("checkin.db.session-secret")).unwrap();
    finds(&site, "ok", &["1000 users"]);
    finds(&Site::sqlite_of_version_2(), "warning", &["version 2", "next start upgrades"]);

    let site = killed().await;
    finds(&site, "warning", &["checkin.db-wal holds", "a copy of", "alone would lack them"]);
    finds(&site, "ok", &["19736 check-ins"]);
    // As somebody has it who copied the other two.
    fs::remove_file(site.file().with_extension("db-shm")).unwrap();
    finds(&site, "warning", &["checkin.db-wal holds"]);
    finds(&site, "ok", &["19736 check-ins"]);
    assert_eq!(site.run("dead-letters", &["list"]).code, 0);
    let settled = examined(&site);
    assert!(!settled.stdout.contains("-wal"), "{}", settled.stdout);
    let strict = site.run("doctor", &["--session-profile", "strict"]);
    assert_eq!(complaints(&strict.stdout), [""; 0], "{}", strict.stdout);
    finds(&site, "ok", &["the file system has the space"]);
}

#[tokio::test]
async fn the_doctor_looks_at_a_store_in_use() {
    let site = Site::sqlite();
    let (auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let mut client = receiver.client_like(&auth.logged_in().await);
    for round in 1..=3 {
        accepted(&client.post(CHECKIN, &at(round, 5)).await);
        let doctor = site.run("doctor", &[]);
        let holds = format!("{} check-ins", 19_735 + round);
        assert!(doctor.stdout.contains(&holds), "{}", doctor.stdout);
        assert!(doctor.stdout.contains("`checkin backup FILE`"), "{}", doctor.stdout);
        assert_eq!(doctor.code, 0);
    }
}

#[test]
fn the_doctor_looks_at_modes() {
    let site = Site::sqlite();
    fs::set_permissions(site.file(), fs::Permissions::from_mode(0o644)).unwrap();
    finds(&site, "warning", &["other users of this machine may read the store", "checkin.db"]);
}

/// Sites with something wrong for good at the store's place, and what is said of it.
fn wrong_stores() -> Vec<(Site, &'static [&'static str])> {
    let wrong = |says: &'static [&'static str], make: &dyn Fn(&Path)| {
        let site = Site::empty_sqlite();
        make(&site.file());
        (site, says)
    };
    let database = |path: &Path, sql: &str| {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    };
    let mut stores = vec![
        wrong(&["is not an SQLite database"], &|path| {
            fs::write(path, "Notes, and no database.\n".repeat(500)).unwrap();
        }),
        wrong(&["is a directory", "/checkin.db"], &|path| fs::create_dir(path).unwrap()),
        wrong(&["is not a regular file"], &|path| symlink("/dev/null", path).unwrap()),
        wrong(&["is the database of another program"], &|path| {
            database(path, "CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 1");
        }),
        wrong(&["is the database of another program"], &|path| {
            database(path, "CREATE TABLE bookmarks (url TEXT)");
        }),
        wrong(&["the tables have version 99", "later"], &|path| {
            fs::copy(Site::sqlite().file(), path).unwrap();
            database(path, "PRAGMA user_version = 99");
        }),
    ];
    let mut absent = Site::empty_sqlite();
    absent.store = absent.store.replace("checkin.db", "none/checkin.db");
    stores.push((absent, &["there is no directory", "none"]));
    let mut below_a_file = Site::empty_sqlite();
    fs::write(below_a_file.file(), "").unwrap();
    below_a_file.store += "/checkin.db";
    stores.push((below_a_file, &["is not a directory"]));
    stores
}

#[test]
fn each_wrong_store_is_named_by_its_own_reason() {
    for (site, says) in wrong_stores() {
        finds_with_or_without_files(&site, says);
        let ended = site.run("auth", &["--listen", "127.0.0.1:0"]);
        assert_eq!((ended.code, ended.stderr.lines().count()), (2, 1), "{says:?} {ended:?}");
        for text in says {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
    }
}

/// As [`finds`], where the store's place may be a directory.
#[track_caller]
fn finds_with_or_without_files(site: &Site, says: &[&str]) {
    let before = names(site.directory.path());
    let ended = site.run("doctor", &[]);
    assert_eq!(names(site.directory.path()), before);
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""), "{}", ended.stdout);
    for text in says {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    assert!(ended.stdout.contains('→'), "what to do: {}", ended.stdout);
}

#[test]
fn the_doctor_finds_damage_and_emptiness() {
    let site = Site::empty_sqlite();
    damage(&Site::sqlite().file(), &site.file());
    finds(&site, "PROBLEM", &["is damaged"]);
    let site = Site::empty_sqlite();
    fs::write(site.file(), "").unwrap();
    finds(&site, "PROBLEM", &["is empty, it has 0 bytes"]);
}

#[test]
fn a_locked_store_may_be_free_later() {
    let site = Site::sqlite();
    let other = Connection::open(site.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let list = site.run("dead-letters", &["list"]);
    assert_eq!(list.code, 1, "{}", list.stderr);
    assert!(list.stderr.contains("another program has locked"), "{}", list.stderr);
}
