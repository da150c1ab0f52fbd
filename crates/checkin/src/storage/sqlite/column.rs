//! Values of the domain as columns, and back.

use crate::domain::CheckinId;
use tower_express_session::store::sqlite::rusqlite::types::Type;
use tower_express_session::store::sqlite::rusqlite::{self, Row};

/// A number as SQLite holds it. Ids and counters fit; a cursor beyond is beyond every row.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The columns of an id in the log.
pub(super) fn position(id: CheckinId) -> (i64, i64) {
    (number(id.ms), number(id.seq))
}

/// A number that is not negative.
pub(super) fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number = row.get::<_, i64>(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A number of the domain.
pub(super) fn id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: TryFrom<u64, Error: std::error::Error + Send + Sync + 'static>,
{
    T::try_from(whole(row, column)?).map_err(|cause| wrong(column, Type::Integer, cause))
}

/// A number of the domain, or NULL.
pub(super) fn optional_id<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: TryFrom<u64, Error: std::error::Error + Send + Sync + 'static>,
{
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => id(row, column).map(Some),
        None => Ok(None),
    }
}

/// A text of the domain.
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

/// The column holds nothing of its type. The causes name rules, never values.
pub(super) fn wrong(
    column: usize,
    found: Type,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, found, Box::new(cause))
}

/// The limit of a page as SQLite takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
