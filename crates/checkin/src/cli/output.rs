//! The standard output of commands.

use std::io::{self, ErrorKind, Result, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;

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

fn ignore_closed<T>(result: Result<T>, instead: T) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(instead),
        result => result,
    }
}
