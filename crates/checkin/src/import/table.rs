//! Check-ins as a table of comma-separated values.
//!
//! The first line names the columns, in any order; what they may be is what a check-in in JSON may
//! have.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

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

/// The cells that are not empty, by their columns.
pub(super) type Cells = Vec<(String, String)>;

/// Which column is wrong, if one is, and the rule.
pub(super) type Wrong = (Option<String>, Rule);

/// What a text has as a table.
pub(super) struct Table {
    /// Of a table whose columns are wrong, only what is wrong with them.
    pub(super) rows: Vec<Row>,
    /// The number of rows with anything in them, the line of the columns aside.
    pub(super) count: usize,
    /// The number of the other ones.
    pub(super) empty: usize,
}

/// Whether a file is a table: by its name, or else by its first character.
pub(super) fn is_table(file: &str, text: &str) -> bool {
    let extension = Path::new(file).extension().unwrap_or_default();
    let is = |name| extension.eq_ignore_ascii_case(name);
    is("csv") || (!is("json") && !text.trim_start().starts_with(['{', '[']))
}

/// Reads as far as the quotes are right.
pub(super) fn read(text: &str) -> Table {
    let damage = damage(text);
    let whole = damage.as_ref().map_or(text, |damage| &text[..damage.start]);
    let mut table = read_whole(whole);
    if let Some(Damage { line, rule, .. }) = damage {
        let rule = format!("{rule}; nothing from here on can be read");
        table.rows.push(Row { line, cells: Err((None, Rule::Value(rule))) });
        table.count += 1;
    }
    table
}

fn read_whole(text: &str) -> Table {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = reader.records();
    let columns = match records.next() {
        Some(Ok(columns)) => columns,
        Some(Err(error)) => return Table { rows: vec![unreadable(&error)], count: 0, empty: 0 },
        None => StringRecord::new(),
    };
    let wrong = wrong_columns(&columns);
    let (mut rows, mut empty) = (Vec::new(), 0);
    for record in records {
        match record {
            Ok(record) if record.iter().all(|cell| cell.trim().is_empty()) => empty += 1,
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                rows.push(Row { line, cells: cells(&columns, &record) });
            }
            Err(error) => rows.push(unreadable(&error)),
        }
    }
    let count = rows.len();
    if !wrong.is_empty() {
        rows = wrong.into_iter().map(|wrong| Row { line: 1, cells: Err(wrong) }).collect();
    }
    Table { rows, count, empty }
}

/// Where the quotes of a table are wrong.
struct Damage {
    /// The line of the quote, from 1.
    line: u64,
    /// Where its row begins.
    start: usize,
    rule: &'static str,
}

/// Finds the first quote that is never closed, or is closed in the middle of a cell: everything behind
/// it may be in the wrong cell. The reader of tables takes both.
fn damage(text: &str) -> Option<Damage> {
    let (mut line, mut start, mut at_cell) = (1, 0, true);
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' if at_cell => {
                let damage = |rule| Some(Damage { line, start, rule });
                let mut lines = 0;
                loop {
                    match characters.next() {
                        None => return damage("must close the quote that it opens"),
                        Some((_, '\n')) => lines += 1,
                        Some((_, '"')) if characters.next_if(|(_, c)| *c == '"').is_none() => break,
                        Some(_) => {}
                    }
                }
                if !matches!(characters.peek(), None | Some((_, ',' | '\r' | '\n'))) {
                    return damage("must have a comma or the end of the line behind a quoted cell");
                }
                line += lines;
                at_cell = false;
            }
            '\n' => (line, start, at_cell) = (line + 1, at + 1, true),
            c => at_cell = c == ',',
        }
    }
    None
}

fn wrong_columns(columns: &StringRecord) -> Vec<Wrong> {
    if !columns.iter().any(|column| COLUMNS.contains(&column)) {
        let rule = "must name the columns, with commas between them: userId, locationId, starRating, and id or time";
        return vec![(None, Rule::Value(rule.to_owned()))];
    }
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
    Ok(filled.map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect())
}

fn unreadable(error: &csv::Error) -> Row {
    let line = error.position().map_or(1, csv::Position::line);
    Row { line, cells: Err((None, Rule::Value("must be a line of a table".to_owned()))) }
}
