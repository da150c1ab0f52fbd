//! Check-ins as a table of comma-separated values.
//!
//! The first line names the columns, in any order; what they may be is what a check-in in JSON may
//! have.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use serde_json::value::{RawValue, to_raw_value};

use super::error::Rule;

/// The columns that a table may have.
const COLUMNS: [&str; 8] =
    ["id", "time", "userId", "locationId", "locationName", "longitude", "latitude", "starRating"];

/// One row, or what is wrong with it as a whole.
pub(super) struct Row {
    /// From 1.
    pub(super) line: u64,
    pub(super) cells: Result<Cells, Wrong>,
}

/// The cells that are not empty, by their columns, each as a JSON text.
pub(super) type Cells = Vec<(String, Box<RawValue>)>;

/// Which column is wrong, if one is, and the rule.
pub(super) type Wrong = (Option<String>, Rule);

/// Whether a file is a table, by its name.
pub(super) fn is_table(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// The rows of a table; of one whose columns are wrong, only what is wrong with them.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = reader.records();
    let columns = match records.next() {
        Some(Ok(columns)) => columns,
        Some(Err(error)) => return vec![unreadable(&error)],
        None => StringRecord::new(),
    };
    let wrong = wrong_columns(&columns);
    if !wrong.is_empty() {
        return wrong.into_iter().map(|wrong| Row { line: 1, cells: Err(wrong) }).collect();
    }
    let row = |record: Result<StringRecord, csv::Error>| match record {
        Ok(record) => {
            let line = record.position().map_or(0, csv::Position::line);
            Row { line, cells: cells(&columns, &record) }
        }
        Err(error) => unreadable(&error),
    };
    records.map(row).collect()
}

fn wrong_columns(columns: &StringRecord) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(&column) {
            wrong.push((Some(column.to_owned()), Rule::Unknown));
        } else if columns.iter().take(position).any(|earlier| earlier == column) {
            wrong.push((Some(column.to_owned()), Rule::Twice));
        }
    }
    let has = |column| columns.iter().any(|other| other == column);
    let mut needed = vec!["userId", "locationId", "starRating"];
    if !has("id") && !has("time") {
        needed.push("id");
    }
    let missing = needed.into_iter().filter(|column| !has(column));
    wrong.extend(missing.map(|column| (Some(column.to_owned()), Rule::Missing)));
    wrong
}

fn cells(columns: &StringRecord, record: &StringRecord) -> Result<Cells, Wrong> {
    if record.len() != columns.len() {
        let rule = format!("must have {} cells, as many as there are columns", columns.len());
        return Err((None, Rule::Value(rule)));
    }
    let filled = columns.iter().zip(record).filter(|(_, cell)| !cell.is_empty());
    filled
        .map(|(column, cell)| match to_raw_value(cell) {
            Ok(raw) => Ok((column.to_owned(), raw)),
            Err(error) => Err((Some(column.to_owned()), Rule::Value(error.to_string()))),
        })
        .collect()
}

fn unreadable(error: &csv::Error) -> Row {
    let line = error.position().map_or(1, csv::Position::line);
    Row { line, cells: Err((None, Rule::Value("is no line of a table".to_owned()))) }
}
