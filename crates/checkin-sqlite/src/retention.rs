//! Folding old check-ins into the base figures. The table `checkins` is the log and all histories.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{Folded, Result, Retention};
use sqlite_writer::rusqlite::{self, Connection, Row, params};

use crate::{SqliteStorage, column, private, retractions};

/// Maximum number of rows that one transaction visits.
const ROWS: usize = 500;

#[async_trait]
impl Retention for SqliteStorage {
    async fn fold(&self, keep: Duration, from: Option<String>, _: usize) -> Result<Folded> {
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.file.now_ms().saturating_sub(keep_ms).max(0);
        let after = from.and_then(|from| from.parse().ok());
        let write = move |connection: &Connection| fold(connection, before_ms, after);
        self.file.write(write).await
    }
}

/// Returns the time (ms) before which check-ins may have been removed.
pub(crate) fn horizon_ms(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(before_ms), 0) FROM horizon";
    connection.prepare_cached(sql)?.query_row([], |row| column::whole(row, 0))
}

/// The condition that the row `checkin` is applied and is no dead letter.
pub(crate) const IS_APPLIED: &str = "(checkin.ms, checkin.seq) <= (SELECT ms, seq FROM checkpoint)
    AND NOT EXISTS (SELECT 1 FROM dead_letters
                    WHERE dead_letters.ms = checkin.ms AND dead_letters.seq = checkin.seq)";

fn fold(
    connection: &Connection,
    before_ms: i64,
    after: Option<CheckinId>,
) -> rusqlite::Result<Folded> {
    let sql = "INSERT INTO horizon (one, before_ms) VALUES (1, ?1)
               ON CONFLICT DO UPDATE SET before_ms = max(before_ms, ?1)";
    connection.prepare_cached(sql)?.execute([before_ms])?;
    retractions::sweep(connection, before_ms)?;
    if private::remove_old(connection, before_ms, ROWS)? == ROWS {
        let next = Some(after.unwrap_or(CheckinId::MIN).to_string());
        return Ok(Folded { removed: 0, next });
    }
    let from = after.map_or((-1, -1), column::position);
    let visited = visited(connection, before_ms, from)?;
    let Some(last) = visited.last() else {
        return Ok(Folded::default());
    };
    let removed = remove(connection, before_ms, from, column::position(*last))?;
    let next = (visited.len() == ROWS).then(|| last.to_string());
    Ok(Folded { removed, next })
}

/// Returns the ids of the next rows. The row of the checkpoint stays, because new ids come after it.
fn visited(
    connection: &Connection,
    before_ms: i64,
    (ms, seq): (i64, i64),
) -> rusqlite::Result<Vec<CheckinId>> {
    let sql = format!(
        "SELECT ms, seq FROM checkins
         WHERE (ms, seq) > (?1, ?2) AND ms < ?3 AND (ms, seq) < (SELECT ms, seq FROM checkpoint)
         ORDER BY ms, seq LIMIT {ROWS}"
    );
    let id =
        |row: &Row<'_>| Ok(CheckinId { ms: column::whole(row, 0)?, seq: column::whole(row, 1)? });
    connection.prepare_cached(&sql)?.query_map(params![ms, seq, before_ms], id)?.collect()
}

/// Removes the old rows of a range of ids, and adds them to the base figures. Returns their number.
fn remove(
    connection: &Connection,
    before_ms: i64,
    after: (i64, i64),
    last: (i64, i64),
) -> rusqlite::Result<u64> {
    let is_not_newest = |of: &str| {
        format!(
            "EXISTS (SELECT 1 FROM checkins AS checkin
                     WHERE checkin.{of} = old.{of}
                       AND (checkin.time_ms, checkin.ms, checkin.seq) > (old.time_ms, old.ms, old.seq)
                       AND {IS_APPLIED})"
        )
    };
    let sql = format!(
        "DELETE FROM checkins AS old
         WHERE (ms, seq) > (?1, ?2) AND (ms, seq) <= (?3, ?4) AND time_ms < ?5
           AND NOT EXISTS (SELECT 1 FROM dead_letters
                           WHERE dead_letters.ms = old.ms AND dead_letters.seq = old.seq)
           AND {} AND {}
         RETURNING user_id, location_id, stars, time_ms",
        is_not_newest("user_id"),
        is_not_newest("location_id"),
    );
    let (mut users, mut ratings) = (BTreeMap::new(), BTreeMap::new());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.0, after.1, last.0, last.1, before_ms])?;
    let mut removed = 0_i64;
    while let Some(row) = rows.next()? {
        let (user, location, stars, time_ms): (i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let (count, latest) = users.entry(user).or_insert((0_i64, (time_ms, location)));
        (*count, *latest) = (*count + 1, (time_ms, location).max(*latest));
        *ratings.entry((location, stars)).or_insert(0_i64) += 1;
        removed += 1;
    }
    add_to_bases(connection, &users, &ratings)?;
    let sql = "UPDATE checkpoint SET appended = appended - ?1, counted = counted - ?1";
    connection.prepare_cached(sql)?.execute([removed])?;
    Ok(removed.unsigned_abs())
}

/// Adds the number of check-ins, the latest time and its location of each user, and the number of check-ins of each location
/// and number of stars.
fn add_to_bases(
    connection: &Connection,
    users: &BTreeMap<i64, (i64, (i64, i64))>,
    ratings: &BTreeMap<(i64, i64), i64>,
) -> rusqlite::Result<()> {
    let mut accounts = connection.prepare_cached(
        "UPDATE accounts SET base_checkins = base_checkins + ?2,
             base_last_seen_at = iif(coalesce(base_last_checkin, 0) <= ?3, ?4, base_last_seen_at),
             base_last_checkin = max(coalesce(base_last_checkin, 0), ?3)
         WHERE id = ?1",
    )?;
    for (user, (count, (latest, location))) in users {
        accounts.execute(params![user, count, latest, location])?;
    }
    let mut locations = connection.prepare_cached(
        "UPDATE locations SET base_checkins = base_checkins + ?2, base_stars = base_stars + ?2 * ?3
         WHERE id = ?1",
    )?;
    let mut folded = connection.prepare_cached(
        "INSERT INTO folded_ratings (location_id, stars, num_checkins) VALUES (?1, ?3, ?2)
         ON CONFLICT DO UPDATE SET num_checkins = num_checkins + ?2",
    )?;
    for ((location, stars), count) in ratings {
        locations.execute(params![location, count, stars])?;
        folded.execute(params![location, count, stars])?;
    }
    Ok(())
}
