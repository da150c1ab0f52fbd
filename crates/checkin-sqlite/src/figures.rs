//! Applying check-ins to figures and leaderboards.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params, params_from_iter};

use super::column;
use super::retention::IS_APPLIED;
use checkin_domain::{Checkin, LocationId, StarRating, UserId, monday_ms};
use checkin_storage::weeks::{is_kept, last_expired};
use checkin_storage::{Dangling, HistoryPosition};

/// Applies check-ins that were not applied before. Returns those that cannot be applied, and why.
pub(super) fn apply(
    connection: &Connection,
    checkins: &[Checkin],
    now_ms: i64,
) -> rusqlite::Result<Vec<(Checkin, Dangling)>> {
    let locations = checkins.iter().map(|checkin| checkin.location.get()).collect();
    let locations = existing(connection, "SELECT 1 FROM locations WHERE id = ?1", locations)?;
    let users = checkins.iter().map(|checkin| checkin.user.get()).collect();
    let users = existing(connection, "SELECT 1 FROM user_figures WHERE id = ?1", users)?;
    let (mut sums, mut dangling) = (Sums::default(), Vec::new());
    for checkin in checkins {
        let has_location = locations.contains(&checkin.location.get());
        match Dangling::of(has_location, users.contains(&checkin.user.get())) {
            None => sums.add(checkin),
            Some(why) => dangling.push((checkin.clone(), why)),
        }
    }
    sums.store(connection)?;
    sums.store_weeks(connection, now_ms.unsigned_abs())?;
    Ok(dangling)
}

/// Takes the share of a check-in back from the figures and the leaderboards. Its row is deleted already.
pub(super) fn take_back(connection: &Connection, checkin: &Checkin) -> rusqlite::Result<()> {
    let Checkin { time_ms, user, location, stars, .. } = *checkin;
    let [user, location] = [user.get(), location.get()].map(column::number);
    let (monday, stars) = (column::number(monday_ms(time_ms)), i64::from(stars.get()));
    let latest = format!(
        "SELECT time_ms, location_id FROM checkins AS checkin WHERE user_id = ?1 AND {IS_APPLIED}
         ORDER BY time_ms DESC, ms DESC, seq DESC LIMIT 1"
    );
    let place = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let latest = connection.prepare_cached(&latest)?.query_row([user], place).optional()?;
    let (last, seen_at) = latest.unzip();
    // What was folded or imported as a figure may be later.
    let user_sql = "UPDATE user_figures SET num_checkins = max(num_checkins - 1, 0),
            (last_checkin, last_seen_at) =
                (SELECT iif(is_base, base_last_checkin, ?2), iif(is_base, base_last_seen_at, ?3)
                 FROM (SELECT *, coalesce(base_last_checkin, 0) > coalesce(?2, -1) AS is_base
                       FROM accounts WHERE accounts.id = ?1))
         WHERE id = ?1";
    connection.prepare_cached(user_sql)?.execute(params![user, last, seen_at])?;
    for (sql, values) in [
        (
            "UPDATE locations SET num_checkins = max(num_checkins - 1, 0),
                 num_stars = max(num_stars - ?2, 0) WHERE id = ?1",
            &[location, stars][..],
        ),
        (
            "UPDATE location_ratings SET num_checkins = max(num_checkins - 1, 0)
             WHERE location_id = ?1 AND stars = ?2",
            &[location, stars],
        ),
        (
            "UPDATE user_weeks SET num_checkins = max(num_checkins - 1, 0)
             WHERE monday_ms = ?1 AND user_id = ?2",
            &[monday, user],
        ),
        (
            "UPDATE location_weeks SET num_checkins = max(num_checkins - 1, 0)
             WHERE monday_ms = ?1 AND location_id = ?2",
            &[monday, location],
        ),
    ] {
        connection.prepare_cached(sql)?.execute(params_from_iter(values))?;
    }
    Ok(())
}

/// Returns those of the ids for which the query finds a row. It runs once for each id, in their order.
fn existing(
    connection: &Connection,
    sql: &str,
    ids: BTreeSet<u64>,
) -> rusqlite::Result<HashSet<u64>> {
    let mut exists = connection.prepare_cached(sql)?;
    let mut found = HashSet::with_capacity(ids.len());
    for id in ids {
        if exists.exists([column::number(id)])? {
            found.insert(id);
        }
    }
    Ok(found)
}

/// The sums that a batch adds.
#[derive(Default)]
struct Sums {
    users: BTreeMap<UserId, OfUser>,
    locations: BTreeMap<LocationId, OfLocation>,
    ratings: BTreeMap<(LocationId, StarRating), u64>,
    user_weeks: BTreeMap<(u64, UserId), u64>,
    location_weeks: BTreeMap<(u64, LocationId), u64>,
}

struct OfUser {
    count: u64,
    latest: HistoryPosition,
    location: LocationId,
}

#[derive(Default)]
struct OfLocation {
    count: u64,
    stars: u64,
}

impl Sums {
    fn add(&mut self, checkin: &Checkin) {
        let (latest, location) = (HistoryPosition::from(checkin), checkin.location);
        let of_user =
            self.users.entry(checkin.user).or_insert(OfUser { count: 0, latest, location });
        of_user.count += 1;
        if latest > of_user.latest {
            (of_user.latest, of_user.location) = (latest, location);
        }
        let of_location = self.locations.entry(checkin.location).or_default();
        of_location.count += 1;
        of_location.stars += u64::from(checkin.stars.get());
        *self.ratings.entry((checkin.location, checkin.stars)).or_default() += 1;
        let monday = monday_ms(checkin.time_ms);
        *self.user_weeks.entry((monday, checkin.user)).or_default() += 1;
        *self.location_weeks.entry((monday, checkin.location)).or_default() += 1;
    }

    fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut users = connection.prepare_cached(
            "UPDATE user_figures SET
                 num_checkins = num_checkins + ?2,
                 last_seen_at = iif(coalesce(last_checkin, 0) <= ?3, ?4, last_seen_at),
                 last_checkin = max(coalesce(last_checkin, 0), ?3)
             WHERE id = ?1",
        )?;
        for (user, OfUser { count, latest, location }) in &self.users {
            users.execute(params![
                column::number(user.get()),
                column::number(*count),
                column::number(latest.time_ms),
                column::number(location.get()),
            ])?;
        }
        let mut locations = connection.prepare_cached(
            "UPDATE locations SET num_checkins = num_checkins + ?2, num_stars = num_stars + ?3
             WHERE id = ?1",
        )?;
        for (location, OfLocation { count, stars }) in &self.locations {
            locations.execute(params![
                column::number(location.get()),
                column::number(*count),
                column::number(*stars),
            ])?;
        }
        let mut ratings = connection.prepare_cached(
            "INSERT INTO location_ratings (location_id, stars, num_checkins) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET num_checkins = num_checkins + ?3",
        )?;
        for ((location, stars), count) in &self.ratings {
            ratings.execute(params![
                column::number(location.get()),
                stars.get(),
                column::number(*count),
            ])?;
        }
        Ok(())
    }

    /// Stores the sums of the weeks that are kept, and deletes older weeks.
    fn store_weeks(&self, connection: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        let mut users = connection.prepare_cached(
            "INSERT INTO user_weeks (monday_ms, user_id, num_checkins) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET num_checkins = num_checkins + ?3",
        )?;
        for ((monday, user), count) in
            self.user_weeks.iter().filter(|((week, _), _)| is_kept(*week, now_ms))
        {
            let (monday, user) = (column::number(*monday), column::number(user.get()));
            users.execute(params![monday, user, column::number(*count)])?;
        }
        let mut locations = connection.prepare_cached(
            "INSERT INTO location_weeks (monday_ms, location_id, num_checkins) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET num_checkins = num_checkins + ?3",
        )?;
        let kept = self.location_weeks.iter().filter(|((week, _), _)| is_kept(*week, now_ms));
        for ((monday, location), count) in kept {
            let (monday, location) = (column::number(*monday), column::number(location.get()));
            locations.execute(params![monday, location, column::number(*count)])?;
        }
        for table in ["user_weeks", "location_weeks"] {
            let sql = format!("DELETE FROM {table} WHERE monday_ms <= ?1");
            connection.prepare_cached(&sql)?.execute([column::number(last_expired(now_ms))])?;
        }
        Ok(())
    }
}
