//! What an SQLite file has applied, and what else it shows of users and locations.

use std::collections::HashSet;

use sqlite_writer::rusqlite::{Connection, OpenFlags, Row};

use super::books::Books;
use super::history::{USERS, Visit};

/// Where users and locations can be seen: their numbers, or 0.
const PLACES: &[(&str, &str)] = &[
    ("the log", "SELECT user_id, location_id FROM checkins"),
    ("private check-ins", "SELECT user_id, 0 FROM private_checkins"),
    ("retracted private check-ins", "SELECT user_id, 0 FROM private_retractions"),
    ("idempotency keys", "SELECT user_id, 0 FROM idempotency_keys WHERE NOT private"),
    (
        "the figures of users",
        "SELECT id, coalesce(last_seen_at, 0) FROM user_figures
                              WHERE num_checkins > 0 OR last_checkin IS NOT NULL",
    ),
    ("the weeks of users", "SELECT user_id, 0 FROM user_weeks"),
    ("the figures of locations", "SELECT 0, id FROM locations WHERE num_checkins > 0"),
    ("the ratings", "SELECT 0, location_id FROM location_ratings WHERE num_checkins > 0"),
    ("the weeks of locations", "SELECT 0, location_id FROM location_weeks WHERE num_checkins > 0"),
    ("the account", "SELECT id, 0 FROM accounts WHERE email NOT LIKE '%@deleted.invalid'"),
];

/// Opens the file as an observer.
fn open(path: &str) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Returns the users whose accounts are deleted and not erased.
pub(crate) fn not_erased(path: &str) -> Vec<u64> {
    let file = open(path);
    let sql = format!(
        "SELECT id, 0, 0 FROM accounts JOIN account_standings ON user_id = id
         WHERE status = 'deleted' AND id > {USERS} AND email NOT LIKE '%@deleted.invalid'"
    );
    visits(&file, &sql).into_iter().map(|(user, ..)| user).collect()
}

/// Reads the log, which is also the history of users and locations. Everything in it must be applied.
pub(crate) fn books(path: &str) -> Books {
    let file = open(path);
    let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let deleted = "SELECT user_id, 0, 0 FROM account_standings WHERE status = 'deleted'";
    let deleted: HashSet<u64> = visits(&file, deleted).into_iter().map(|(user, ..)| user).collect();
    let log = || visits(&file, "SELECT user_id, location_id, stars FROM checkins");
    let private = visits(&file, "SELECT user_id, location_id, stars FROM private_checkins");
    let mut books = Books {
        deleted,
        of_users: log().into_iter().collect(),
        of_locations: log().into_iter().collect(),
        private: private.into_iter().collect(),
        ..Books::default()
    };
    for (place, sql) in PLACES {
        let found = visits(&file, &format!("SELECT *, 0 FROM ({sql})"));
        for (user, location, _) in found {
            books.see(place, Some(user), Some(location));
        }
    }
    books
}

/// Reads rows of three numbers.
fn visits(file: &Connection, sql: &str) -> Vec<Visit> {
    let mut statement = file.prepare(sql).unwrap();
    let number = |row: &Row<'_>, at| row.get::<_, u32>(at).map(u64::from);
    let visit = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?));
    statement.query_map([], visit).unwrap().map(Result::unwrap).collect()
}
