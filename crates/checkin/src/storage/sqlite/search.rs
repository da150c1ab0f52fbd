//! Places by the words of their names.

use tower_express_session::store::sqlite::rusqlite::{self, Connection, params};

use super::{column, locations};
use crate::domain::Location;
use crate::storage::MAX_SEARCH_WORDS;
use crate::storage::words::words;

/// The words as a query of FTS5: names in which a word begins with each of them. Nothing else of the
/// text comes into it, so that none of it is taken for the syntax of a query. Nothing if there is no
/// word.
pub(super) fn query(text: &str) -> Option<String> {
    let words = words(text).into_iter().take(MAX_SEARCH_WORDS);
    let query = words.map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" AND ");
    Some(query).filter(|query| !query.is_empty())
}

/// A page by ids.
pub(super) fn page(
    connection: &Connection,
    query: &str,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<Location>> {
    let mut statement = connection.prepare_cached(&sql())?;
    let parameters = params![query, column::number(after), column::limit(limit)];
    statement.query_map(parameters, locations::location)?.collect()
}

pub(super) fn sql() -> String {
    let columns = locations::COLUMNS.replace("name", "locations.name");
    format!(
        "SELECT {columns} FROM location_names CROSS JOIN locations ON id = location_names.rowid
         WHERE location_names MATCH ?1 AND location_names.rowid > ?2
         ORDER BY location_names.rowid LIMIT ?3"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_words_and_nothing_else_of_the_text() {
        assert_eq!(query("Café \"bar"), Some("\"cafe\"* AND \"bar\"*".to_owned()));
        assert_eq!(query("name:NEAR(a^ b)"), query("name near a b"));
        for text in ["", " ", "\0", "\"*-^:(){}+"] {
            assert_eq!(query(text), None, "{text:?}");
        }
        let many = query(&"a ".repeat(10_000)).unwrap();
        assert_eq!(many.matches('a').count(), MAX_SEARCH_WORDS);
    }
}
