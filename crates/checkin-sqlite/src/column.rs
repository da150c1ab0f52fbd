//! Values of the domain as columns, and back.

use checkin_domain::CheckinId;
use checkin_storage::UsedUp;
use checkin_storage::{HistoryPosition, Reports};
use sqlite_writer::rusqlite::types::{Type, ValueRef};
use sqlite_writer::rusqlite::{self, Params, Row, Statement};

/// Reads the rows of a statement in their order, at most `limit`. A row that cannot be read is logged
/// with its table and first column, and left out; therefore the statement itself has no limit.
pub(super) fn readable_rows<T>(
    reports: &Reports,
    table: &str,
    statement: &mut Statement<'_>,
    parameters: impl Params,
    limit: usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let (mut rows, mut found) = (statement.query(parameters)?, Vec::new());
    while found.len() < limit {
        let Some(row) = rows.next()? else { break };
        let label = || match row.get_ref(0) {
            Ok(ValueRef::Integer(id)) => format!("{table} {id}"),
            _ => table.to_owned(),
        };
        found.extend(readable(reports, label, read(row))?);
    }
    Ok(found)
}

/// Returns the value of a row, or `None` if it cannot be read, which is logged.
pub(super) fn readable<T>(
    reports: &Reports,
    label: impl FnOnce() -> String,
    read: rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match read {
        Err(cause) if is_unreadable(&cause) => {
            reports.log(label(), &cause);
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Returns whether the error is about the row and not about the database.
pub(super) fn is_unreadable(cause: &rusqlite::Error) -> bool {
    matches!(
        cause,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

/// Converts a number for SQLite. Ids and counters fit; a larger cursor is beyond every row.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the columns of the position before which a page of a history begins.
pub(super) fn before(after: Option<HistoryPosition>) -> (i64, (i64, i64)) {
    match after {
        Some(after) => (number(after.time_ms), position(after.id)),
        None => (i64::MAX, (i64::MAX, i64::MAX)),
    }
}

/// Returns the columns of an id in the log.
pub(super) fn position(id: CheckinId) -> (i64, i64) {
    (number(id.ms), number(id.seq))
}

/// Reads a number that is not negative.
pub(super) fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number = row.get::<_, i64>(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// Reads a number as a type of the domain.
pub(super) fn id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: TryFrom<u64, Error: std::error::Error + Send + Sync + 'static>,
{
    T::try_from(whole(row, column)?).map_err(|cause| wrong(column, Type::Integer, cause))
}

/// Reads a number as a type of the domain, or NULL.
pub(super) fn optional_id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<u64, Error: std::error::Error + Send + Sync + 'static>,
{
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => id(row, column).map(Some),
        None => Ok(None),
    }
}

/// Reads a text as a type of the domain.
pub(super) fn text<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get(column)?).map_err(|cause| wrong(column, Type::Text, cause))
}

/// Returns the error of a column with a wrong value. Its cause names the rule, never the value.
pub(super) fn wrong(
    column: usize,
    found: Type,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, found, Box::new(cause))
}

/// Returns the error that all ids of these records are used up.
pub(super) fn used_up(what: &'static str) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(UsedUp(what)))
}

/// Converts the limit of a page for SQLite.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
