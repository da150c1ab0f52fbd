//! The standard output of commands.

use std::io::{self, ErrorKind, Result, Write};

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

fn ignore_closed<T>(result: Result<T>, instead: T) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(instead),
        result => result,
    }
}
