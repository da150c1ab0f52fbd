//! Recounts everything from the log.

use sqlite_writer::rusqlite::{self, Connection, Row};

use super::column;
use checkin_domain::{LocationId, UserId};
use checkin_storage::{Audit, Difference, Subject};

/// Differences, and records that cannot be read, that are named one by one.
const NAMED: usize = 100;

/// What is counted.
const COUNTED: &str = "
    WITH counted AS (
        SELECT * FROM checkins
        WHERE (ms, seq) <= (SELECT ms, seq FROM checkpoint)
          AND NOT EXISTS (SELECT 1 FROM dead_letters
                          WHERE dead_letters.ms = checkins.ms AND dead_letters.seq = checkins.seq)
    )";

/// Each row is a user or a place that differs: id, then stored and counted in turn.
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
        FROM location_ratings GROUP BY location_id
    ) AS ratings ON ratings.location_id = id
    WHERE num_checkins <> base_checkins + coalesce(number, 0)
       OR num_stars <> base_stars + coalesce(stars, 0)
       OR coalesce(rated, 0) <> coalesce(number, 0)
       OR coalesce(rated_stars, 0) <> coalesce(log.stars, 0)";

/// In one transaction, so of one moment.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<Audit> {
    let moment = connection.unchecked_transaction()?;
    let number = |sql: &str| moment.query_row(sql, [], |row| column::whole(row, 0));
    let mut audit = Audit {
        entries: number("SELECT count(*) FROM checkins")?,
        counted: number(&format!("{COUNTED} SELECT count(*) FROM counted"))?,
        dead: number("SELECT count(*) FROM dead_letters")?,
        compared: number("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM locations)")?,
        ..Audit::default()
    };
    audit.waiting = audit.entries.saturating_sub(audit.counted + audit.dead);
    let of_user = |row: &Row<'_>| Ok(Subject::User(column::id::<UserId>(row, 0)?));
    compare(&moment, USERS, &["numCheckins", "lastCheckin"], of_user, &mut audit)?;
    let of_location = |row: &Row<'_>| Ok(Subject::Location(column::id::<LocationId>(row, 0)?));
    let figures = ["numCheckins", "numStars", "ratings", "stars of the ratings"];
    compare(&moment, LOCATIONS, &figures, of_location, &mut audit)?;
    Ok(audit)
}

fn compare(
    connection: &Connection,
    query: &str,
    figures: &[&'static str],
    of: impl Fn(&Row<'_>) -> rusqlite::Result<Subject>,
    audit: &mut Audit,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("{COUNTED} {query}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match differences(row, figures, of(row)?) {
            Ok(differences) => {
                audit.different += 1;
                audit.differences.extend(differences);
            }
            Err(cause) if column::is_unreadable(&cause) => audit.unreadable.push(of(row)?),
            Err(cause) => return Err(cause),
        }
        audit.differences.truncate(NAMED);
        audit.unreadable.truncate(NAMED);
    }
    Ok(())
}

fn differences(
    row: &Row<'_>,
    figures: &[&'static str],
    of: Subject,
) -> rusqlite::Result<Vec<Difference>> {
    let mut differences = Vec::new();
    for (position, figure) in figures.iter().enumerate() {
        let stored = column::whole(row, 1 + position * 2)?;
        let counted = column::whole(row, 2 + position * 2)?;
        if stored != counted {
            differences.push(Difference { of, figure, stored, counted });
        }
    }
    Ok(differences)
}
