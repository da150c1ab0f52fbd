//! The standing of each account: its epoch, its status, its role, and the session that it keeps.

use sqlite_writer::rusqlite::{self, Connection, OptionalExtension, Row, params};

use super::{column, searches};
use checkin_domain::UserId;
use checkin_storage::{Admitted, NewEpoch, Role, Standing, Status};

/// Stores the standing of an account with the next epoch, which it returns, and adds the account to the list of searches.
pub(super) fn raise(
    connection: &Connection,
    id: i64,
    standing: &Standing,
) -> rusqlite::Result<NewEpoch> {
    let sql = "INSERT INTO account_standings (user_id, epoch, kept, status, role)
               VALUES (?1, 1, ?2, ?3, ?4)
               ON CONFLICT (user_id) DO UPDATE SET
                   epoch = epoch + 1, kept = ?2, status = ?3, role = ?4 RETURNING epoch";
    let Standing { kept, status, role, .. } = standing;
    let words = params![id, kept, status.as_str(), role.as_str()];
    let epoch = connection.prepare_cached(sql)?.query_row(words, |row| column::whole(row, 0))?;
    Ok(NewEpoch { epoch, search: searches::add(connection, id)? })
}

pub(super) fn standing(connection: &Connection, id: i64) -> rusqlite::Result<Standing> {
    let sql = "SELECT epoch, kept, status, role FROM account_standings WHERE user_id = ?1";
    let read = |row: &Row<'_>| read_standing(row, 0);
    Ok(connection.prepare_cached(sql)?.query_row([id], read).optional()?.unwrap_or_default())
}

/// Returns whether the account is deleted. What it stored now would never be erased.
pub(super) fn is_deleted(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    Ok(standing(connection, column::number(id.get()))?.status == Status::Deleted)
}

/// Returns the standing of an account, or `None` if there is no such account, or if it no longer admits what asks
/// for a change.
pub(super) fn admitting(
    connection: &Connection,
    id: i64,
    by: Option<&Admitted>,
) -> rusqlite::Result<Option<Standing>> {
    let now = standing_of_existing(connection, id)?;
    Ok(now.filter(|now| by.is_none_or(|by| now.still_admits(by))))
}

/// Returns the standing of an account, or `None` if there is no such account.
pub(super) fn standing_of_existing(
    connection: &Connection,
    id: i64,
) -> rusqlite::Result<Option<Standing>> {
    let sql = "SELECT 1 FROM accounts WHERE id = ?1";
    let exists = connection.prepare_cached(sql)?.exists([id])?;
    exists.then(|| standing(connection, id)).transpose()
}

/// Reads the columns of a standing, the first of which is `first`. All are NULL if there is no row.
pub(super) fn read_standing(row: &Row<'_>, first: usize) -> rusqlite::Result<Standing> {
    let name = |column: usize| row.get::<_, Option<String>>(first + column);
    Ok(Standing {
        epoch: row.get::<_, Option<i64>>(first)?.unwrap_or(0).unsigned_abs(),
        kept: name(1)?,
        status: Status::stored(name(2)?.as_deref()),
        role: Role::stored(name(3)?.as_deref()),
    })
}
