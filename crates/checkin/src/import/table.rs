//! Reads tables of check-ins (comma-separated values).
//!
//! The first line names the columns, in any order. The columns are the fields of a check-in in
//! JSON. Where a comma separates the digits of a number, spreadsheets separate cells by semicolons, and they may
//! write the separator into a line of its own at the start (`sep=;`).

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, StringRecordsIter};

use super::error::Rule;

/// The possible columns of a table.
const COLUMNS: [&str; 10] = [
    "id",
    "time",
    "userId",
    "locationId",
    "locationName",
    "longitude",
    "latitude",
    "starRating",
    "comment",
    "private",
];

/// More characters than the longest column has.
const MAX_COLUMN: usize = 20;

/// The possible separators of cells.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// The start of the line with which a spreadsheet is told the separator.
const SEPARATOR_LINE: &str = "sep=";

/// A row, or an error of the row as a whole.
pub(super) struct Row {
    /// The line, counted from 1.
    pub(super) line: u64,
    pub(super) cells: Result<Cells, Wrong>,
}

/// The cells that are not empty, with their columns.
pub(super) type Cells = Vec<(String, String)>;

/// The wrong column, if there is one, and the rule.
pub(super) type Wrong = (Option<String>, Rule);

/// The contents of a table, in numbers.
pub(super) struct RowCounts {
    /// The number of rows that are not empty, without the line of the columns.
    pub(super) rows: usize,
    /// The number of empty rows.
    pub(super) empty: usize,
    /// The line from which on the table is not read, and the rule that it breaks.
    pub(super) damage: Option<(u64, Rule)>,
}

/// Returns whether a file is a table, by its name, or else by its first character.
pub(super) fn is_table(file: &str, text: &str) -> bool {
    let extension = Path::new(file).extension().unwrap_or_default();
    let is = |name| extension.eq_ignore_ascii_case(name);
    is("csv") || (!is("json") && !text.trim_start().starts_with(['{', '[']))
}

/// Reads a table up to the first wrong quote, and passes its rows on, one after the other. If the columns are wrong, these
/// are only the errors of the columns.
pub(super) fn read(text: &str, mut take: impl FnMut(Row)) -> RowCounts {
    let separator = separator(text);
    let damage = damage(text, separator);
    let whole = damage.as_ref().map_or(text, |damage| &text[..damage.start]);
    let mut counts = read_whole(whole, separator, &mut take);
    if let Some(Damage { line, rule, .. }) = damage {
        let rule = format!("{rule}; the rest of the file is not read");
        counts.damage = Some((line, Rule::Value(rule)));
        counts.rows += 1;
    }
    counts
}

/// Returns the separator that the first line states, or with which it names the most columns.
fn separator(text: &str) -> char {
    let first = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    let stated = first.strip_prefix(SEPARATOR_LINE).and_then(|rest| rest.chars().next());
    let named = |separator: &char| first.split(*separator).filter_map(named_column).count();
    // Of separators that are equally good, the first one is the last one of the reversed list.
    let best = || SEPARATORS.into_iter().rev().max_by_key(named).unwrap_or(',');
    stated.filter(|stated| SEPARATORS.contains(stated)).unwrap_or_else(best)
}

fn read_whole(text: &str, separator: char, take: &mut impl FnMut(Row)) -> RowCounts {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        // Each separator is one byte in UTF-8.
        .delimiter(separator as u8)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let columns = match columns(&mut records) {
        Ok(columns) => columns,
        Err(error) => {
            take(unreadable(&error));
            return RowCounts { rows: 0, empty: 0, damage: None };
        }
    };
    let wrong = wrong_columns(&columns);
    let is_readable = wrong.is_empty();
    wrong.into_iter().for_each(|wrong| take(Row { line: 1, cells: Err(wrong) }));
    let mut counts = RowCounts { rows: 0, empty: 0, damage: None };
    let mut lines = Lines { text, at: 0, line: 1 };
    for record in records {
        let row = match record {
            Ok(record) if record.iter().all(|cell| cell.trim().is_empty()) => {
                counts.empty += 1;
                continue;
            }
            Ok(record) => {
                let line = record.position().map_or(0, |position| lines.line(position.byte()));
                Row { line, cells: cells(&columns, &record) }
            }
            Err(error) => unreadable(&error),
        };
        counts.rows += 1;
        if is_readable {
            take(row);
        }
    }
    counts
}

/// Counts the lines of a text. The CSV reader's own count is one too low in a text with `\r\n`, and its position of a
/// row is before the end of the line before it.
struct Lines<'a> {
    text: &'a str,
    /// The byte up to which lines are counted.
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// Returns the line of the row that begins at a byte, or behind line ends there. Rows are asked for in order.
    fn line(&mut self, byte: u64) -> u64 {
        let bytes = self.text.as_bytes();
        let start = usize::try_from(byte).map_or(bytes.len(), |byte| byte.min(bytes.len()));
        let ends = bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &bytes[self.at.min(start + ends)..start + ends];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = start + ends;
        self.line
    }
}

/// Reads the columns. Those that are known have the names of [`COLUMNS`].
fn columns(records: &mut StringRecordsIter<'_, &[u8]>) -> Result<StringRecord, csv::Error> {
    let mut first = records.next().transpose()?.unwrap_or_default();
    if first.get(0) == Some(SEPARATOR_LINE) {
        first = records.next().transpose()?.unwrap_or_default();
    }
    Ok(first.iter().map(|cell| named_column(cell).unwrap_or(cell)).collect())
}

/// Returns the column that a cell of the first line names: `User ID` and `user_id` are `userId`.
fn named_column(cell: &str) -> Option<&'static str> {
    let letters = cell.chars().filter(|c| !matches!(c, ' ' | '_' | '-' | '"'));
    let letters: String = letters.take(MAX_COLUMN).collect();
    COLUMNS.into_iter().find(|column| column.eq_ignore_ascii_case(&letters))
}

/// The place of a wrong quote in a table.
struct Damage {
    /// The line of the quote, from 1.
    line: u64,
    /// The start of its row.
    start: usize,
    rule: &'static str,
}

/// Finds the first quote that is never closed, or that is closed in the middle of a cell: all later
/// text could be in the wrong cell. The CSV reader accepts both.
fn damage(text: &str, separator: char) -> Option<Damage> {
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
                let ends = |c| [separator, '\r', '\n'].contains(&c);
                if !characters.peek().is_none_or(|(_, c)| ends(*c)) {
                    return damage(
                        "must have a separator or the end of the line after a quoted cell",
                    );
                }
                line += lines;
                at_cell = false;
            }
            '\n' => (line, start, at_cell) = (line + 1, at + 1, true),
            c => at_cell = c == separator,
        }
    }
    None
}

fn wrong_columns(columns: &StringRecord) -> Vec<Wrong> {
    if !columns.iter().any(|column| COLUMNS.contains(&column)) {
        let rule = "must name the columns, separated by commas, semicolons or tabs: userId, locationId, starRating, and id or time";
        return vec![(None, Rule::Value(rule.to_owned()))];
    }
    let mut wrong = Vec::new();
    for (position, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(&column) {
            let rule = "must not be a column: a table has check-ins alone";
            wrong.push((Some(column.to_owned()), Rule::Value(rule.to_owned())));
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
