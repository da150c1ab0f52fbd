//! Counts everything again from the log.

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, Row};

use super::column;
use checkin_domain::{LocationId, UserId};
use checkin_storage::{Audit, AuditReport, Audited, Figure, Result, Unequal};

use crate::SqliteStorage;

#[async_trait]
impl Audit for SqliteStorage {
    async fn audit(&self) -> Result<AuditReport> {
        self.file.read(recount).await
    }
}

/// The applied check-ins.
const COUNTED: &str = "
    WITH counted AS (
        SELECT * FROM checkins
        WHERE (ms, seq) <= (SELECT ms, seq FROM checkpoint)
          AND NOT EXISTS (SELECT 1 FROM dead_letters
                          WHERE dead_letters.ms = checkins.ms AND dead_letters.seq = checkins.seq)
    )";

/// Each row is a user or a location that differs: its id, then stored and counted values alternately.
const USERS: &str = "
    SELECT id, num_checkins, base_checkins + coalesce(number, 0),
           coalesce(last_checkin, 0), max(coalesce(base_last_checkin, 0), coalesce(latest, 0))
    FROM users LEFT JOIN (
        SELECT user_id, count(*) AS number, max(time_ms) AS latest FROM counted GROUP BY user_id
    ) ON user_id = id
    WHERE num_checkins <> base_checkins + coalesce(number, 0)
       OR coalesce(last_checkin, 0) <> max(coalesce(base_last_checkin, 0), coalesce(latest, 0))";

const LOCATIONS: &str = "
    SELECT id, num_checkins, base_checkins + coalesce(number, 0),
           num_stars, base_stars + coalesce(stars, 0),
           coalesce(rated, 0), coalesce(number, 0),
           coalesce(rated_stars, 0), coalesce(stars, 0)
    FROM locations
    LEFT JOIN (
        SELECT location_id, count(*) AS number, sum(stars) AS stars FROM counted GROUP BY location_id
    ) AS log ON log.location_id = id
    LEFT JOIN (
        SELECT location_id, sum(num_checkins) AS rated, sum(num_checkins * stars) AS rated_stars
        FROM (
            SELECT * FROM location_ratings
            UNION ALL SELECT location_id, stars, -num_checkins FROM folded_ratings
        ) GROUP BY location_id
    ) AS ratings ON ratings.location_id = id
    WHERE num_checkins <> base_checkins + coalesce(number, 0)
       OR num_stars <> base_stars + coalesce(stars, 0)
       OR coalesce(rated, 0) <> coalesce(number, 0)
       OR coalesce(rated_stars, 0) <> coalesce(log.stars, 0)";

/// Counts everything in one transaction, so that all numbers are of the same moment.
fn recount(connection: &Connection) -> rusqlite::Result<AuditReport> {
    let moment = connection.unchecked_transaction()?;
    let number = |sql: &str| moment.query_row(sql, [], |row| column::whole(row, 0));
    let mut audit = AuditReport {
        entries: number("SELECT count(*) FROM checkins")?,
        counted: number(&format!("{COUNTED} SELECT count(*) FROM counted"))?,
        dead: number("SELECT count(*) FROM dead_letters")?,
        compared: number(
            "SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM locations)",
        )?,
        ..AuditReport::default()
    };
    audit.waiting = audit.entries.saturating_sub(audit.counted + audit.dead);
    let of_user = |row: &Row<'_>| Ok(Audited::User(column::id::<UserId>(row, 0)?));
    compare(&moment, USERS, &[Figure::NumCheckins, Figure::LastCheckin], of_user, &mut audit)?;
    let of_location = |row: &Row<'_>| Ok(Audited::Location(column::id::<LocationId>(row, 0)?));
    let figures = [Figure::NumCheckins, Figure::NumStars, Figure::Ratings, Figure::RatedStars];
    compare(&moment, LOCATIONS, &figures, of_location, &mut audit)?;
    Ok(audit)
}

fn compare(
    connection: &Connection,
    query: &str,
    figures: &[Figure],
    of: impl Fn(&Row<'_>) -> rusqlite::Result<Audited>,
    audit: &mut AuditReport,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("{COUNTED} {query}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match unequal(row, figures) {
            Ok(unequal) => audit.add(of(row)?, &unequal),
            Err(cause) if column::is_unreadable(&cause) => audit.add_unreadable(of(row)?),
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn unequal(row: &Row<'_>, figures: &[Figure]) -> rusqlite::Result<Vec<Unequal>> {
    let mut found = Vec::new();
    for (position, figure) in figures.iter().enumerate() {
        let stored = column::whole(row, 1 + position * 2)?;
        let counted = column::whole(row, 2 + position * 2)?;
        found.extend(Unequal::of(*figure, stored, counted));
    }
    Ok(found)
}
