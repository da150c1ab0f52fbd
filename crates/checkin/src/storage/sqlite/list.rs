//! Pages of lists by a rank, the highest first.

use tower_express_session::store::sqlite::rusqlite::{self, Connection, params_from_iter};

use super::column;
use crate::storage::{Page, Position, Ranked};

/// A list that an index has in its order: by the rank, the highest first, and by the id.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) table: &'static str,
    pub(super) rank: &'static str,
    pub(super) id: &'static str,
    /// Which rows are listed; where it says `?4`, it is the list of something.
    pub(super) condition: &'static str,
    pub(super) of: Option<i64>,
}

impl List {
    /// A page, its records read with `read`.
    pub(super) fn page<T>(
        self,
        connection: &Connection,
        page: Page,
        read: fn(&Connection, i64) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Vec<Ranked<T>>> {
        let positions = self.positions(connection, page)?.into_iter();
        let ranked = positions.filter_map(|position| {
            let item = read(connection, column::number(position.id)).transpose()?;
            Some(item.map(|item| Ranked { rank: position.rank, item }))
        });
        ranked.collect()
    }

    /// First the equals of where the page begins, then all below: each is one stretch of the index,
    /// which a single condition with `OR` would not be.
    fn positions(self, connection: &Connection, page: Page) -> rusqlite::Result<Vec<Position>> {
        let Some(after) = page.after else {
            return self.run(connection, &self.below(), [i64::MAX, 0], page.limit);
        };
        let after = [column::number(after.rank), column::number(after.id)];
        let mut positions = self.run(connection, &self.equals(), after, page.limit)?;
        let left = page.limit - positions.len();
        positions.extend(self.run(connection, &self.below(), after, left)?);
        Ok(positions)
    }

    pub(super) fn equals(self) -> String {
        let Self { table, rank, id, condition, .. } = self;
        format!(
            "SELECT {rank}, {id} FROM {table} WHERE {condition} AND {rank} = ?1 AND {id} > ?2
             ORDER BY {id} LIMIT ?3"
        )
    }

    pub(super) fn below(self) -> String {
        let Self { table, rank, id, condition, .. } = self;
        // The second parameter is there that both statements have the same.
        format!(
            "SELECT {rank}, {id} FROM {table} WHERE {condition} AND {rank} < ?1 AND ?2 IS NOT NULL
             ORDER BY {rank} DESC, {id} LIMIT ?3"
        )
    }

    fn run(
        self,
        connection: &Connection,
        sql: &str,
        after: [i64; 2],
        limit: usize,
    ) -> rusqlite::Result<Vec<Position>> {
        let parameters = after.into_iter().chain([column::limit(limit)]).chain(self.of);
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| {
            Ok(Position { rank: column::whole(row, 0)?, id: column::whole(row, 1)? })
        })?;
        rows.collect()
    }
}
