//! Locations by the words of their names.

use crate::file::File;
use sqlite_writer::rusqlite::{self, Connection, params};

use super::words::{indexed, token};
use super::{column, locations};
use checkin_domain::Location;
use checkin_domain::words::words;
use checkin_storage::Reports;
use checkin_storage::{MAX_SEARCH_WORDS, Result};

/// Maximum number of names that one write indexes, so that other writers need not wait.
const BATCH: usize = 1000;

/// Indexes the names that are not indexed yet: those of older versions of the file, and of rows that
/// other programs wrote.
pub(super) async fn index_names(file: &File) -> Result<()> {
    while file.write(index_batch).await? == BATCH {}
    Ok(())
}

fn index_batch(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = "SELECT id, name FROM locations WHERE words IS NULL ORDER BY id LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([column::limit(BATCH)], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            String::from_utf8_lossy(row.get_ref(1)?.as_bytes()?).into_owned(),
        ))
    })?;
    let names = rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    let mut update = connection.prepare_cached("UPDATE locations SET words = ?2 WHERE id = ?1")?;
    for (id, name) in &names {
        update.execute(params![id, indexed(name)])?;
    }
    Ok(names.len())
}

/// Returns an FTS5 query for the names that have, for each word, a word that begins with it. It contains
/// nothing else from the text, so that no part of the text is query syntax. Returns `None` if there is
/// no word.
pub(super) fn query(text: &str) -> Option<String> {
    let words = words(text).into_iter().take(MAX_SEARCH_WORDS);
    let query =
        words.map(|word| format!("\"{}\"*", token(&word))).collect::<Vec<_>>().join(" AND ");
    Some(query).filter(|query| !query.is_empty())
}

/// Returns a page by ids.
pub(super) fn page(
    connection: &Connection,
    reports: &Reports,
    query: &str,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Location>> {
    let mut statement = connection.prepare_cached(&sql())?;
    let parameters = params![query, column::number(after)];
    let read = locations::location;
    column::readable_rows(reports, "locations", &mut statement, parameters, limit, read)
}

pub(super) fn sql() -> String {
    let columns = locations::COLUMNS;
    format!(
        "SELECT {columns} FROM location_words CROSS JOIN locations ON id = location_words.rowid
         WHERE location_words MATCH ?1 AND location_words.rowid > ?2
         ORDER BY location_words.rowid"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_contains_only_the_words_of_the_text() {
        assert_eq!(query("Café \"bar"), Some("\"cafe\"* AND \"bar\"*".to_owned()));
        assert_eq!(query("name:NEAR(a^ b)"), query("name near a b"));
        assert_eq!(query("\"*-"), Some("\"\u{ff02}\u{ff0a}\u{ff0d}\"*".to_owned()));
        for text in ["", " ", "\0"] {
            assert_eq!(query(text), None, "{text:?}");
        }
        let many = query(&"a ".repeat(10_000)).unwrap();
        assert_eq!(many.matches('a').count(), MAX_SEARCH_WORDS);
    }
}
