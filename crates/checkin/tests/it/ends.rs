//! What a command says and leaves behind when it does not get through: ids that are used up, records
//! that are refused, signals.

use std::fs;

use sqlite_writer::rusqlite::Connection;
use testkit::{Program, Signal, wait_until};

use crate::harness::{Ended, PATIENCE, Site, checkin};

/// The highest id.
const LAST: &str = "9007199254740991";

#[test]
fn used_up_ids_are_named_on_sqlite() {
    let site = Site::sqlite();
    let file = Connection::open(site.file()).unwrap();
    for table in ["users", "locations"] {
        let sql = format!("UPDATE {table} SET id = {LAST} WHERE id = 2");
        file.execute_batch(&sql).unwrap();
    }
    drop(file);
    used_up_ids_are_named(&site);
}

#[cfg(feature = "external-tests")]
#[test]
fn used_up_ids_are_named_on_redis() {
    let site = Site::redis();
    for what in ["user", "location"] {
        let (from, to) = (format!("ncc:{what}:2"), format!("ncc:{what}:{LAST}"));
        site.redis_cli::<()>(&["RENAME", &from, &to]);
        site.redis_cli::<i64>(&["HSET", &to, "id", LAST]);
        site.redis_cli::<i64>(&["ZADD", &format!("ncc:{what}s:ids"), LAST, LAST]);
    }
    used_up_ids_are_named(&site);
}

fn used_up_ids_are_named(site: &Site) {
    let doctor = site.run("doctor", &[]);
    for kind in ["accounts", "locations"] {
        let line = format!("the ids of {kind} are used up: {LAST}");
        assert!(doctor.stdout.contains(&line), "{}", doctor.stdout);
    }
    // What an import would need an id for is refused, and loaded when there is one.
    let swarm = site.directory.path().join("swarm.json");
    let item = |id: &str, lat: &str| {
        format!(
            r#"{{"id":"{id}","createdAt":1700000000,"timeZoneOffset":0,
                 "venue":{{"id":"v{id}","name":"New {id}"}},"lat":{lat},"lng":4.89}}"#
        )
    };
    let items = format!(r#"{{"items":[{},{}]}}"#, item("1", "52.37"), item("2", "53.37"));
    fs::write(&swarm, items).unwrap();
    let flags = ["swarm.json", "--user", "77", "--stars", "4", "--new-places", "cafe"];
    let refused = site.run("load", &flags);
    assert_eq!(refused.code, 1, "{refused:?}");
    for text in ["the ids of locations are used up", "2 refused"] {
        assert!(refused.stdout.contains(text), "{refused:?}");
    }
    match site.store.strip_prefix("sqlite:") {
        Some(path) => {
            let sql = format!("UPDATE locations SET id = 2 WHERE id = {LAST}");
            Connection::open(path).unwrap().execute_batch(&sql).unwrap();
        }
        None => {
            let from = format!("ncc:location:{LAST}");
            site.redis_cli::<()>(&["RENAME", &from, "ncc:location:2"]);
            site.redis_cli::<i64>(&["HSET", "ncc:location:2", "id", "2"]);
            site.redis_cli::<i64>(&["ZREM", "ncc:locations:ids", LAST]);
        }
    }
    let loaded = site.run("load", &flags);
    assert_eq!(loaded.code, 0, "{loaded:?}");
    assert!(loaded.stdout.contains("check-ins: 2 loaded, 0 there already"), "{loaded:?}");
}

#[test]
fn refused_demo_records_are_named() {
    let site = Site::empty_sqlite();
    let add = ["add", "al.appelhof@example.com", "--first-name", "A", "--last-name", "B"];
    let mut taken = checkin(site.directory.path());
    taken.arg("users").args(add).arg("--password-stdin").env("CHECKIN_STORE", &site.store);
    let mut taken = Program::spawn_interactive(taken);
    taken.write_line("a long enough password");
    assert_eq!(taken.wait(PATIENCE).code(), Some(0));
    let demo = site.run("load", &["--demo"]);
    assert_eq!(demo.code, 1, "{demo:?}");
    let lines: Vec<&str> = demo.stdout.lines().collect();
    let refused = lines.iter().find_map(|line| {
        let rest = line.strip_prefix("check-ins: ")?.strip_suffix(" (19735 in the demo data)")?;
        rest.rsplit_once(", ")?.1.strip_suffix(" refused")?.parse::<usize>().ok()
    });
    let refused = refused.unwrap_or_else(|| panic!("{}", demo.stdout));
    assert!(refused > 1, "{}", demo.stdout);
    // The other account has the id 1 as well, so that the demo's first user is left as it is.
    assert!(demo.stdout.contains("users: 998 loaded, 1 there already, 1 refused"), "{demo:?}");
    assert!(lines.iter().any(|line| line.starts_with("demo data: users[76].email: must not")));
    let named = format!("must be the id of a user that exists ({refused} times: ");
    assert!(demo.stdout.contains(&named) && !demo.stdout.contains(", ,"), "{}", demo.stdout);
    let all = site.run("load", &["--demo", "--all-errors"]);
    let each = all.stdout.lines().filter(|line| line.starts_with("demo data: checkins[")).count();
    assert_eq!(each, refused, "{}", all.stdout);
}

#[test]
fn a_load_that_a_signal_ends_leaves_a_whole_file() {
    for (signal, code, name) in [(Signal::SIGTERM, 143, "SIGTERM"), (Signal::SIGINT, 130, "SIGINT")]
    {
        let site = Site::sqlite();
        let rows: String = (0..200_000)
            .map(|n| format!("77,{},3,{}\n", 1 + n % 220, 1_500_000_000_000_u64 + n * 1000))
            .collect();
        let file = site.directory.path().join("many.csv");
        fs::write(&file, format!("userId,locationId,starRating,time\n{rows}")).unwrap();
        let load = site.start("load", &["many.csv"]);
        let log = site.file().with_extension("db-wal");
        let has_begun = || fs::metadata(&log).is_ok_and(|log| log.len() > 1 << 20);
        wait_until("it begins to load", has_begun);
        load.signal(signal);
        let ended = Ended::of(load);
        assert_eq!((ended.code, &*ended.stderr), (code, &*format!("checkin: ended by {name}\n")));
        let line = ended.stdout.lines().find(|line| line.starts_with("check-ins: ")).unwrap();
        let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty());
        let mut number = || numbers.next().unwrap().parse::<u64>().unwrap();
        let (loaded, there, open) = (number(), number(), number());
        assert!(line.ends_with(" not finished"), "{line}");
        assert_eq!((loaded + open, there), (200_000, 0), "{line}");
        assert_eq!(fs::metadata(&log).map_or(0, |log| log.len()), 0, "the write-ahead log");
        let whole: i64 = Connection::open(site.file())
            .unwrap()
            .query_row("SELECT count(*) FROM checkins", [], |row| row.get(0))
            .unwrap();
        // The last batch may be stored without an answer.
        assert!(
            (loaded..=loaded + 500).contains(&(whole.unsigned_abs() - 19_735)),
            "{whole} {line}"
        );
    }
}

#[test]
fn a_command_that_waits_for_a_person_ends_at_once() {
    let site = Site::sqlite();
    for args in [&["load", "-"][..], &["users", "passwd", "77", "--password-stdin"]] {
        let mut command = checkin(site.directory.path());
        command.args(args).env("CHECKIN_STORE", &site.store);
        let mut program = Program::spawn_interactive(command);
        // Nothing shows from outside that it waits for its input. Should it not wait yet, the signal ends it just as
        // well.
        std::thread::sleep(std::time::Duration::from_millis(300));
        program.signal(Signal::SIGINT);
        assert!(!program.wait(PATIENCE).success(), "{args:?}");
    }
    site.is_whole(1000, 19_735);
}
