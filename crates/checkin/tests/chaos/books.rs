//! What a store has applied.

use std::collections::HashSet;

use redis_link::{Client as Redis, Reply};
use sqlite_writer::rusqlite::{Connection, OpenFlags};

use super::history::{LOCATIONS, USERS, Visit};

/// The check-ins in the histories of users or of locations.
#[derive(Default)]
pub(crate) struct Applied {
    pub(crate) visits: HashSet<Visit>,
    /// With repetitions.
    pub(crate) count: usize,
}

/// The histories of a store.
pub(crate) struct Books {
    pub(crate) of_users: Applied,
    pub(crate) of_locations: Applied,
}

impl Books {
    pub(crate) async fn of_redis(store: &Redis) -> Self {
        let of_users = histories(store, "user", 1..=USERS, |user, place| (user, place)).await;
        let of_locations =
            histories(store, "location", 1..=LOCATIONS, |place, user| (user, place)).await;
        Self { of_users, of_locations }
    }

    /// Reads the log of an SQLite file, which is also the history of users and locations. Everything in
    /// it must be applied.
    pub(crate) fn of_sqlite(path: &str) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let file = Connection::open_with_flags(path, flags).unwrap();
        let check: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let read = || {
            let sql = "SELECT user_id, location_id, stars FROM checkins";
            let mut statement = file.prepare(sql).unwrap();
            let number = |row: &sqlite_writer::rusqlite::Row<'_>, at| row.get::<_, u32>(at);
            let visit = |row: &sqlite_writer::rusqlite::Row<'_>| {
                Ok((number(row, 0)?.into(), number(row, 1)?.into(), number(row, 2)?.into()))
            };
            statement.query_map([], visit).unwrap().map(Result::unwrap).collect()
        };
        Self { of_users: read(), of_locations: read() }
    }
}

impl FromIterator<Visit> for Applied {
    fn from_iter<I: IntoIterator<Item = Visit>>(visits: I) -> Self {
        let mut applied = Self::default();
        for visit in visits {
            applied.visits.insert(visit);
            applied.count += 1;
        }
        applied
    }
}

async fn histories(
    store: &Redis,
    kind: &str,
    ids: impl Iterator<Item = u64>,
    order: impl Fn(u64, u64) -> (u64, u64),
) -> Applied {
    let mut visits = Vec::new();
    for id in ids {
        let key = format!("{{ncc:{kind}:{id}}}:checkins");
        let members = store.call(&[b"ZRANGE", key.as_bytes(), b"0", b"-1"]).await.unwrap();
        let Reply::Array(members) = members else { panic!("{members:?}") };
        for member in members {
            let member = member.into_bytes().unwrap();
            let member = std::str::from_utf8(&member).unwrap();
            let mut words = member.split(' ').skip(1).map(|word| word.parse::<u64>().unwrap());
            let (user, location) = order(id, words.next().unwrap());
            visits.push((user, location, words.next().unwrap()));
        }
    }
    visits.into_iter().collect()
}
