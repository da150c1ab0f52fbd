//! Lists that commands print.

use std::io::IsTerminal;

use anstyle::Style;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::output::{json, paint};
use super::say;

/// The space between two columns. No value contains it, so that programs can split a line there.
const GAP: &str = "  ";

/// What stands for a value that is missing.
const NONE: &str = "-";

/// The number of rows that are aligned together. Further rows follow as they come.
const PAGE: usize = 500;

/// An entry of a list. Its JSON has the same values as its cells, and may have more.
pub(super) trait Listed: Serialize {
    /// The headings of the columns.
    const COLUMNS: &'static [&'static str];

    /// Returns a text for each column. An empty one means that there is no value.
    fn cells(&self) -> Vec<String>;
}

/// A list on standard output: a table with headings at a terminal, else a line for each entry, as text or as
/// JSON.
pub(super) struct List {
    form: Form,
    /// Rows that are not printed yet.
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Lines,
    Json,
}

impl List {
    /// Starts a list of JSON objects, or of text.
    pub(super) fn new(json: bool) -> Self {
        let form = match (json, std::io::stdout().is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Table,
            (false, false) => Form::Lines,
        };
        Self { form, rows: Vec::new(), widths: Vec::new() }
    }

    /// Adds an entry.
    pub(super) fn push<T: Listed>(&mut self, entry: &T) -> anyhow::Result<()> {
        let cells = || entry.cells().iter().map(|cell| clean(cell)).collect::<Vec<_>>();
        match self.form {
            Form::Json => say(json(entry)?)?,
            Form::Lines => say(cells().join(GAP))?,
            Form::Table => {
                self.rows.push(cells());
                if self.rows.len() == PAGE {
                    self.print_rows(T::COLUMNS)?;
                }
            }
        }
        Ok(())
    }

    /// Prints what is left, and then a line for people, which is no part of JSON.
    pub(super) fn finish<T: Listed>(mut self, last: Option<String>) -> anyhow::Result<()> {
        self.print_rows(T::COLUMNS)?;
        match last {
            Some(last) if self.form != Form::Json => Ok(say(last)?),
            _ => Ok(()),
        }
    }

    fn print_rows(&mut self, headings: &[&str]) -> anyhow::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let is_first = self.widths.is_empty();
        self.widths.resize(headings.len(), 0);
        let headings: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
        for row in self.rows.iter().chain([&headings]) {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        if is_first {
            say(paint(Style::new().bold(), &aligned(&headings, &self.widths)))?;
        }
        for row in std::mem::take(&mut self.rows) {
            say(aligned(&row, &self.widths))?;
        }
        Ok(())
    }
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let pad = |(cell, width): (&String, &usize)| {
        format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
    };
    let cells: Vec<String> = row.iter().zip(widths).map(pad).collect();
    cells.join(GAP).trim_end().to_owned()
}

/// Returns a value on one line, with single spaces, and without control characters, which could change the
/// terminal.
pub(super) fn clean(cell: &str) -> String {
    let words = cell.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    if words.is_empty() { NONE.to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_contains_the_gap_or_controls_the_terminal() {
        for (value, shown) in [
            ("Al  Appelhof", "Al Appelhof"),
            (" Firefox\t140\n", "Firefox 140"),
            ("a\u{1b}[31mb", "a [31mb"),
            ("", "-"),
            (" \n", "-"),
        ] {
            assert_eq!(clean(value), shown);
        }
    }

    #[test]
    fn columns_are_aligned_by_what_the_terminal_shows() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        assert_eq!(aligned(&row(["ab", "c"]), &[4, 4]), "ab    c");
        assert_eq!(aligned(&row(["日本", "c"]), &[4, 4]), "日本  c");
        assert_eq!(aligned(&row(["e\u{301}", "c"]), &[4, 1]), "e\u{301}     c");
    }
}
