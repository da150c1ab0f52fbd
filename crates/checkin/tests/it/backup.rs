//! Backups of an embedded store, and stores made from them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use sqlite_writer::rusqlite::Connection;

use crate::harness::{CHECKIN, COOKIE, Ended, SECRET, Site, names};
use crate::upgrade::SESSION;

impl Site {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn refuses(&self, args: &[&str], says: &[&str]) {
        let before = names(self.directory.path());
        let Ended { code, stdout, stderr } = self.run(args[0], &args[1..]);
        assert_eq!(
            (code, stdout.as_str(), stderr.lines().count()),
            (2, "", 1),
            "{args:?} {stderr}"
        );
        for text in says {
            assert!(stderr.contains(text), "{args:?}: {text} is not said: {stderr}");
        }
        assert_eq!(names(self.directory.path()), before, "{args:?} left something behind");
    }
}

#[track_caller]
fn succeeded(ended: &Ended) {
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_store_is_one_moment_of_it() {
    let site = Site::sqlite();
    let auth = site.auth(&[]);
    let session = auth.logged_in().await;
    let receiver = site.receiver(&["--no-auth", "--duplicate-window", "0", "--checkin-rate", "0"]);
    let (accepted, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (1..=4)
        .map(|user| {
            let (accepted, ends) = (Arc::clone(&accepted), Arc::clone(&ends));
            let mut client = receiver.client();
            tokio::spawn(async move {
                let checkin = json!({"userId": user, "locationId": user, "starRating": 3});
                while !ends.load(Ordering::Relaxed) {
                    let status = client.post(CHECKIN, &checkin).await.status;
                    assert_eq!(status, 202, "nobody waits for a backup");
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    while accepted.load(Ordering::Relaxed) < 20 {
        tokio::task::yield_now().await;
    }
    let to = site.path("copy.db");
    let before = accepted.load(Ordering::Relaxed);
    let ended = tokio::task::block_in_place(|| site.run("backup", &[&to]));
    let after = accepted.load(Ordering::Relaxed);
    ends.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    succeeded(&ended);
    assert!(ended.stdout.contains("copy.db.session-secret"), "{}", ended.stdout);
    assert_eq!((mode(&to), mode(&site.path("copy.db.session-secret"))), (0o600, 0o600));

    let restored = Site::empty_sqlite();
    succeeded(&restored.run("restore", &[&to]));
    assert_eq!(mode(&restored.path("checkin.db")), 0o600);
    assert_eq!(mode(&restored.path("checkin.db.session-secret")), 0o600);
    let doctor = restored.run("doctor", &["--verify"]);
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    let entries = doctor.stdout.split("the log has ").nth(1).unwrap().split(' ').next().unwrap();
    let copied = entries.parse::<u64>().unwrap() - 19_735;
    // Each of the four may have had one more on its way.
    assert!((before..=after + 4).contains(&copied), "{before} {copied} {after}");
    let again = restored.auth(&[]);
    assert_eq!(again.client_like(&session).get("/session").await.status, 200);
}

/// A file becomes larger than the process may make it, which would end the process by SIGXFSZ.
#[test]
fn a_copy_that_becomes_too_large_leaves_nothing_behind() {
    let site = Site::sqlite();
    let before = names(site.directory.path());
    let backup = site.run_within("-f 200", "backup", &["copy.db"]);
    let failed = "checkin: the disk that holds copy.db failed: disk I/O error";
    assert_eq!(backup.code, 1, "{}", backup.stderr);
    assert!(backup.stderr.starts_with(failed), "{}", backup.stderr);
    assert!(backup.stderr.contains("ulimit -f"), "{}", backup.stderr);
    assert_eq!(names(site.directory.path()), before);

    let load = site.run_within("-f 200", "load", &["--demo", "--store", "sqlite:small.db"]);
    assert_eq!(load.code, 1, "{}", load.stderr);
    let failed = "checkin: the disk that holds small.db failed: disk I/O error";
    assert!(load.stderr.starts_with(failed), "{}", load.stderr);
}

#[test]
fn a_backup_of_a_store_that_nobody_uses() {
    let site = Site::sqlite();
    let to = site.path("copy.db");
    succeeded(&site.run("backup", &[&to]));
    assert_eq!(
        names(site.directory.path()),
        ["checkin.db", "checkin.db.session-secret", "copy.db", "copy.db.session-secret"]
    );
    let (copy, secret) = (fs::read(&to).unwrap(), fs::read(site.path("copy.db.session-secret")));
    assert_eq!(secret.unwrap(), fs::read(site.path("checkin.db.session-secret")).unwrap());
    site.refuses(&["backup", &to], &["copy.db is there already"]);
    assert_eq!(fs::read(&to).unwrap(), copy);
    fs::remove_file(&to).unwrap();
    site.refuses(&["backup", &to], &["copy.db.session-secret is there already"]);
    site.refuses(&["backup", &site.path("none/copy.db")], &["no directory", "none"]);
    site.refuses(&["backup", &site.path("")], &["already"]);
    site.refuses(&["backup", &site.path("checkin.db")], &["checkin.db is there already"]);
}

#[test]
fn a_restore_overwrites_nothing() {
    let site = Site::sqlite();
    let from = site.path("copy.db");
    succeeded(&site.run("backup", &[&from]));
    site.refuses(&["restore", &from], &["checkin.db is there already"]);
    fs::remove_file(site.path("checkin.db")).unwrap();
    site.refuses(&["restore", &from], &["checkin.db.session-secret is there already"]);
    fs::remove_file(site.path("checkin.db.session-secret")).unwrap();
    // It would be taken for the new file's.
    fs::write(site.path("checkin.db-wal"), "").unwrap();
    site.refuses(&["restore", &from], &["checkin.db-wal is there already"]);
    fs::remove_file(site.path("checkin.db-wal")).unwrap();
    succeeded(&site.run("restore", &[&from]));
    site.is_whole(1000, 19_735);
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let site = Site::empty_sqlite();
    let restore = |name: &str, says: &[&str]| site.refuses(&["restore", &site.path(name)], says);
    restore("absent.db", &["there is no backup at", "absent.db"]);
    fs::create_dir(site.path("directory")).unwrap();
    restore("directory", &["is a directory"]);
    fs::write(site.path("notes.txt"), "Notes, and no database.\n".repeat(500)).unwrap();
    restore("notes.txt", &["notes.txt is not an SQLite database"]);
    fs::write(site.path("empty.db"), "").unwrap();
    restore("empty.db", &["empty.db"]);
    let foreign = Connection::open(site.path("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE bookmarks (url TEXT); PRAGMA user_version = 2").unwrap();
    drop(foreign);
    restore("foreign.db", &["foreign.db is the database of another program"]);

    let sound = Site::sqlite();
    let change = |name: &str, how: &str| {
        fs::copy(sound.path("checkin.db"), site.path(name)).unwrap();
        Connection::open(site.path(name)).unwrap().execute_batch(how).unwrap();
    };
    change("later.db", "PRAGMA user_version = 99");
    restore("later.db", &["later.db", "version 99"]);
    damage(Path::new(&sound.path("checkin.db")), Path::new(&site.path("damaged.db")));
    restore("damaged.db", &["damaged.db is damaged"]);
    assert!(!Path::new(&site.path("checkin.db")).exists());
}

/// A copy in which some pages in the middle are gone.
pub(crate) fn damage(from: &Path, to: &Path) {
    let mut bytes = fs::read(from).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 20 * 4096].fill(0xAA);
    fs::write(to, bytes).unwrap();
}

#[tokio::test]
async fn a_backup_of_an_earlier_version_is_restored_and_upgraded() {
    let old = Site::sqlite_of_version_2();
    let to = old.path("copy.db");
    let before = fs::read(old.path("checkin.db")).unwrap();
    let backup = old.run("backup", &[&to, "--session-secret", SECRET]);
    succeeded(&backup);
    let said = &backup.stdout;
    assert!(said.contains("2 users, 2 locations, 7 check-ins"), "{said}");
    assert!(said.contains("secret of the settings is not in the backup"), "{said}");
    assert_eq!(names(old.directory.path()), ["checkin.db", "copy.db"]);
    assert_eq!(fs::read(old.path("checkin.db")).unwrap(), before, "a backup upgrades nothing");

    let site = Site::empty_sqlite();
    let restored = site.run("restore", &[&to]);
    succeeded(&restored);
    assert!(restored.stdout.contains("no session secret"), "{}", restored.stdout);
    let auth = site.auth(&["--session-secret", SECRET]);
    let mut client = auth.client();
    client.jar_mut().set(COOKIE, SESSION);
    assert_eq!(client.get("/session").await.status, 200);
}

#[cfg(feature = "external-tests")]
#[test]
fn there_must_be_a_store_to_back_up() {
    let site = Site::empty_sqlite();
    site.refuses(&["backup", &site.path("copy.db")], &["there is no store at", "checkin.db"]);
    let redis = Site::empty_redis();
    for command in ["backup", "restore"] {
        redis.refuses(&[command, &redis.path("copy.db")], &["embedded", "redis-cli --rdb"]);
    }
}
