//! The standard output of commands.

use std::io::{self, ErrorKind, Result, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use serde::Serialize;

/// Standard output. If its reader has gone (`checkin export | head`), further output is dropped
/// without an error, and the command continues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        ignore_closed(io::stdout().write(bytes), bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        ignore_closed(io::stdout().flush(), ())
    }
}

/// Returns a text in a style, or as it is if standard output shows none: because it is no terminal, or because of
/// `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` or `TERM`.
pub(super) fn paint(style: Style, text: &str) -> String {
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => text.to_owned(),
        _ => format!("{style}{text}{style:#}"),
    }
}

/// Returns a value as JSON in one line, in which no character controls a terminal: JSON itself escapes those of
/// ASCII, but neither DEL nor C1.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_control() {
            true => shown += &format!("\\u{:04x}", u32::from(c)),
            false => shown.push(c),
        }
    }
    Ok(shown)
}

fn ignore_closed<T>(result: Result<T>, instead: T) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(instead),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_controls_no_terminal_and_is_read_as_the_same() {
        for text in ["a\u{1b}[31mb", "a\u{9b}31mb\u{7f}", "Grüße \u{85}\n", "\"\\\u{80}"] {
            let shown = json(&text).unwrap();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
