//! Pages of lists by a rank, highest first.

use sqlite_writer::rusqlite::{self, Connection, params_from_iter};

use super::column;
use checkin_storage::Reports;
use checkin_storage::{Page, Position, Ranked};

/// A list in the order of an index: by the rank, highest first, then by the id.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) table: &'static str,
    pub(super) rank: &'static str,
    pub(super) id: &'static str,
    /// The condition for the listed rows. `?3` stands for the value of `of`.
    pub(super) condition: &'static str,
    pub(super) of: Option<i64>,
}

impl List {
    /// Returns a page, whose records are read with `read`.
    pub(super) fn page<T>(
        self,
        connection: &Connection,
        reports: &Reports,
        page: Page,
        read: fn(&Connection, i64) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Vec<Ranked<T>>> {
        let (mut after, mut listed) = (page.after, Vec::new());
        while listed.len() < page.limit {
            let limit = page.limit - listed.len();
            let positions = self.positions(connection, reports, Page { after, limit })?;
            for position in &positions {
                let record = read(connection, column::number(position.id));
                let label = || format!("{} {}", self.table, position.id);
                let item = column::readable(reports, label, record)?.flatten();
                listed.extend(item.map(|item| Ranked { rank: position.rank, item }));
            }
            if positions.len() < limit {
                break;
            }
            after = positions.last().copied();
        }
        Ok(listed)
    }

    /// Reads first the rows with the rank at which the page begins, then the rows with lower ranks. Each
    /// is one range of the index; a single condition with `OR` would not be.
    fn positions(
        self,
        connection: &Connection,
        reports: &Reports,
        page: Page,
    ) -> rusqlite::Result<Vec<Position>> {
        let run = |sql: &str, after, limit| self.run(connection, reports, sql, after, limit);
        let Some(after) = page.after else {
            return run(&self.below(), [i64::MAX, 0], page.limit);
        };
        let after = [column::number(after.rank), column::number(after.id)];
        let mut positions = run(&self.equals(), after, page.limit)?;
        let left = page.limit - positions.len();
        positions.extend(run(&self.below(), after, left)?);
        Ok(positions)
    }

    pub(super) fn equals(self) -> String {
        let Self { table, rank, id, condition, .. } = self;
        format!(
            "SELECT {rank}, {id} FROM {table} WHERE {condition} AND {rank} = ?1 AND {id} > ?2
             ORDER BY {id}"
        )
    }

    pub(super) fn below(self) -> String {
        let Self { table, rank, id, condition, .. } = self;
        // The condition with the second parameter is there so that both statements have the same
        // parameters.
        format!(
            "SELECT {rank}, {id} FROM {table} WHERE {condition} AND {rank} < ?1 AND ?2 IS NOT NULL
             ORDER BY {rank} DESC, {id}"
        )
    }

    fn run(
        self,
        connection: &Connection,
        reports: &Reports,
        sql: &str,
        after: [i64; 2],
        limit: usize,
    ) -> rusqlite::Result<Vec<Position>> {
        let parameters = params_from_iter(after.into_iter().chain(self.of));
        let mut statement = connection.prepare_cached(sql)?;
        column::readable_rows(reports, self.table, &mut statement, parameters, limit, |row| {
            Ok(Position { rank: column::whole(row, 0)?, id: column::whole(row, 1)? })
        })
    }
}
