//! The embedded store is its file: after a clean end the file alone is complete.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use sqlite_writer::rusqlite::Connection;
use testkit::{Program, Signal};

use crate::harness::{
    CHECKIN, EMAIL, Ended, PATIENCE, Site, accepted, at, checkin, expect_plain, expect_problem,
    log_in, retry_after,
};

impl Site {
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("checkin.db")
    }

    /// A site of its own with a copy of the database file, and of nothing else.
    #[track_caller]
    fn copy_of_the_file(&self) -> Site {
        let copy = Site::empty_sqlite();
        fs::copy(self.file(), copy.file()).unwrap();
        copy
    }

    /// A copy of the file alone has this many users and check-ins.
    #[track_caller]
    pub(crate) fn is_whole(&self, users: u64, checkins: u64) {
        let doctor = self.copy_of_the_file().run("doctor", &[]);
        let holds = format!("it holds {users} users, 220 locations and {checkins} check-ins");
        assert!(doctor.stdout.contains(&holds), "{holds}: {}{}", doctor.stdout, doctor.stderr);
        let log = fs::metadata(self.file().with_extension("db-wal"));
        assert_eq!(log.map_or(0, |log| log.len()), 0, "the write-ahead log");
    }
}

/// The check-ins of the demo data.
const DEMO: u64 = 19_735;

async fn stops_with_everything(signal: Signal) {
    let site = Site::empty_sqlite();
    let (mut up, mut auth, mut receiver) = site.up(&[]);
    expect_plain(&log_in(&mut auth).await, 200, "OK");
    *receiver.jar_mut() = auth.jar().clone();
    accepted(&receiver.post(CHECKIN, &at(2, 5)).await);
    // Both clients are still connected.
    up.signal(signal);
    assert_eq!(up.wait(PATIENCE).code(), Some(0));
    site.is_whole(1000, DEMO + 1);

    let copy = site.copy_of_the_file();
    let secret = site.directory.path().join("checkin.db.session-secret");
    fs::copy(&secret, copy.directory.path().join(secret.file_name().unwrap())).unwrap();
    let service = copy.auth(&[]);
    assert_eq!(service.client_like(&auth).get("/session").await.status, 200);
}

#[tokio::test]
async fn sigterm_leaves_a_whole_file() {
    stops_with_everything(Signal::SIGTERM).await;
}

#[tokio::test]
async fn sigint_leaves_a_whole_file() {
    stops_with_everything(Signal::SIGINT).await;
}

#[tokio::test]
async fn services_that_stop_at_the_same_moment_leave_a_whole_file() {
    let site = Site::sqlite();
    for round in 1..=5 {
        let (mut auth, mut receiver) = (site.auth(&[]), site.receiver(&[]));
        let mut processor = site.processor(&[]);
        let mut client = receiver.client_like(&auth.logged_in().await);
        accepted(&client.post(CHECKIN, &at(round, 5)).await);
        let programs = [&mut auth.program, &mut receiver.program, &mut processor];
        programs.iter().for_each(|program| program.signal(Signal::SIGTERM));
        for program in programs {
            assert_eq!(program.wait(PATIENCE).code(), Some(0));
        }
        site.is_whole(1000, DEMO + round);
    }
}

#[tokio::test]
async fn a_service_that_stops_beside_others_disturbs_nobody() {
    let site = Site::sqlite();
    let (mut auth, receiver) = (site.auth(&[]), site.receiver(&[]));
    let mut client = receiver.client_like(&auth.logged_in().await);
    assert_eq!(auth.program.stop().code(), Some(0));
    accepted(&client.post(CHECKIN, &at(2, 5)).await);
}

#[test]
fn a_command_leaves_a_whole_file() {
    let site = Site::empty_sqlite();
    assert_eq!(site.run("load", &["--demo"]).code, 0);
    site.is_whole(1000, DEMO);
    assert_eq!(site.run("export", &["--user", EMAIL]).code, 0);
    assert_eq!(site.run("dead-letters", &["list"]).code, 0);
    site.is_whole(1000, DEMO);
    // Errors, before and after the store was opened.
    assert_eq!(site.run("export", &["--user", "no@example.com"]).code, 1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(site.run("auth", &["--listen", &address]).code, 1);
    site.is_whole(1000, DEMO);
}

#[tokio::test]
async fn what_a_killed_service_left_is_read_by_the_next_one() {
    let site = Site::sqlite();
    let (mut auth, mut receiver) = (site.auth(&[]), site.receiver(&[]));
    let mut client = receiver.client_like(&auth.logged_in().await);
    accepted(&client.post(CHECKIN, &at(2, 5)).await);
    auth.program.kill();
    receiver.program.kill();
    let log = fs::metadata(site.file().with_extension("db-wal")).unwrap();
    assert!(log.len() > 0, "what was accepted is in the write-ahead log");
    assert_eq!(site.run("dead-letters", &["list"]).code, 0);
    site.is_whole(1000, DEMO + 1);
}

/// Starts a command under a file mode creation mask, as `umask` sets it.
fn under(site: &Site, mask: &str, command: &str) -> Program {
    let ours = checkin(site.directory.path());
    let mut shell = Command::new("sh");
    let script = format!("umask {mask}; exec \"$0\" {command}");
    shell.current_dir(site.directory.path()).args(["-c", &script]);
    shell.arg(ours.get_program()).env("CHECKIN_STORE", &site.store);
    for (name, value) in ours.get_envs() {
        assert!(value.is_none());
        shell.env_remove(name);
    }
    shell.env("CHECKIN_STORE", &site.store);
    for service in ["CONSOLE", "API", "RECEIVER", "AUTH"] {
        shell.env(format!("CHECKIN_{service}_LISTEN"), "127.0.0.1:0");
    }
    Program::spawn(shell)
}

/// The modes of the files of a store, by name.
fn modes(site: &Site) -> Vec<(String, u32)> {
    let entries = fs::read_dir(site.directory.path()).unwrap().map(Result::unwrap);
    let mode = |entry: fs::DirEntry| {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().into_string().unwrap(), mode)
    };
    let mut modes: Vec<_> = entries.map(mode).collect();
    modes.sort();
    modes
}

#[test]
fn the_files_are_their_owners_alone_whatever_the_umask() {
    const FILES: [&str; 4] =
        ["checkin.db", "checkin.db-shm", "checkin.db-wal", "checkin.db.session-secret"];
    for mask in ["0", "022", "077", "777"] {
        let site = Site::empty_sqlite();
        let up = under(&site, mask, "up");
        up.wait_for_line("demo login", PATIENCE);
        assert_eq!(modes(&site), FILES.map(|name| (name.to_owned(), 0o600)), "umask {mask}");
        let backup = Ended::of(under(&site, mask, "backup copy.db"));
        assert_eq!(backup.code, 0, "{backup:?}");
        let modes = modes(&site);
        assert!(modes.len() == 6 && modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
    }
}

#[test]
fn a_store_may_be_reached_by_a_link() {
    let site = Site::empty_sqlite();
    let [real, link] = ["real.db", "checkin.db"].map(|name| site.directory.path().join(name));
    symlink(&real, &link).unwrap();
    for _ in 0..2 {
        let loaded = Ended::of(under(&site, "022", "load --demo"));
        assert_eq!((loaded.code, loaded.stderr.as_str()), (0, ""), "{}", loaded.stdout);
        let doctor = site.run("doctor", &[]);
        assert!(!doctor.stdout.contains("other users"), "{}", doctor.stdout);
    }
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
    let doctor = site.run("doctor", &[]);
    assert!(doctor.stdout.contains("other users"), "{}", doctor.stdout);
    let receiver = site.receiver(&["--no-auth"]);
    receiver.program.wait_for_line("only its owner may read it", PATIENCE);
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn files_that_an_earlier_version_made_for_everybody_become_private() {
    let site = Site::sqlite();
    fs::set_permissions(site.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let receiver = site.receiver(&["--no-auth"]);
    receiver.program.wait_for_line("only its owner may read it", PATIENCE);
    let modes = modes(&site);
    assert!(modes.len() == 4 && modes.iter().all(|(_, mode)| *mode == 0o600), "{modes:?}");
}

/// What is accepted into a file without a name would be lost with the process.
#[tokio::test]
async fn nothing_is_accepted_into_a_file_that_is_gone() {
    let site = Site::sqlite();
    let (up, auth, receiver) = site.up(&[]);
    let (mut at_auth, mut at_receiver) = (auth.clone(), receiver);
    expect_plain(&log_in(&mut at_auth).await, 200, "OK");
    *at_receiver.jar_mut() = at_auth.jar().clone();
    accepted(&at_receiver.post(CHECKIN, &at(2, 5)).await);
    assert_eq!(auth.clone().get("/readyz").await.status, 200);
    let elsewhere = site.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let files = ["checkin.db", "checkin.db-wal", "checkin.db-shm"];
    let rename = |from: &std::path::Path, to: &std::path::Path| {
        files.iter().for_each(|name| fs::rename(from.join(name), to.join(name)).unwrap());
    };
    rename(site.directory.path(), &elsewhere);
    for _ in 0..2 {
        let refused = at_receiver.post(CHECKIN, &at(3, 5)).await;
        expect_problem(&refused, 503, &[]);
        assert!(retry_after(&refused) >= 1);
        expect_problem(&log_in(&mut auth.clone()).await, 503, &[]);
        let ready = auth.clone().get("/readyz").await;
        expect_problem(&ready, 503, &[]);
        assert!(ready.text().contains("deleted or moved"), "{}", ready.text());
    }
    assert!(files.iter().all(|name| !site.directory.path().join(name).exists()));
    rename(&elsewhere, site.directory.path());
    testkit::until("the file is back", async || auth.clone().get("/readyz").await.status == 200)
        .await;
    accepted(&at_receiver.post(CHECKIN, &at(4, 5)).await);
    let log = up.text(testkit::Stream::Stdout);
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    let [error] = errors[..] else { panic!("{log}") };
    assert!(error.contains("checkin.db was deleted or moved") && error.contains("Put it back"));
    drop(up);
    let doctor = site.run("doctor", &[]).stdout;
    assert!(doctor.contains(&format!("{} check-ins", DEMO + 2)), "{doctor}");
}

#[tokio::test]
async fn a_long_log_is_reported() {
    let site = Site::sqlite();
    let receiver = site.receiver(&["--no-auth"]);
    let mut client = receiver.client();
    accepted(&client.post(CHECKIN, &at(1, 5)).await);
    let reader = Connection::open(site.file()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM checkins").unwrap();
    // As much as a few thousand check-ins, but faster.
    let writer = Connection::open(site.file()).unwrap();
    writer
        .execute_batch(
            "PRAGMA synchronous = OFF; CREATE TABLE others (b);
             INSERT INTO others VALUES (zeroblob(130 << 20)); DROP TABLE others",
        )
        .unwrap();
    for location in [2, 3] {
        accepted(&client.post(CHECKIN, &at(location, 5)).await);
    }
    let log = receiver.program.text(testkit::Stream::Stdout);
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    let long = |line: &&&str| line.contains("checkin.db-wal has 13") && line.contains("MiB");
    assert_eq!(warnings.iter().filter(long).count(), 1, "{log}");
    let doctor = site.run("doctor", &[]);
    let finding = doctor.stdout.lines().find(|line| line.contains("checkin.db-wal has 13"));
    assert!(finding.is_some_and(|line| line.starts_with("PROBLEM")), "{}", doctor.stdout);
    assert_eq!(doctor.code, 1, "{}", doctor.stdout);
    assert!(doctor.stdout.contains("fuser"), "{}", doctor.stdout);
    let length = async || {
        let metrics = receiver.client().get("/metrics").await;
        let line =
            metrics.text().lines().find(|line| line.starts_with("checkin_sqlite_wal_bytes{"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(length().await > 130 << 20);
    // The reader ends.
    drop(reader);
    for location in [4, 5] {
        accepted(&client.post(CHECKIN, &at(location, 5)).await);
    }
    let length = length().await;
    assert!(length < 32 << 20, "{length}");
}
