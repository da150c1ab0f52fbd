//! The standard output of commands.

use std::io::{self, ErrorKind, Result, Write};

/// Standard output. What is written after its reader has gone (`checkin export | head`) is dropped,
/// and is no error: the command goes on with its work.
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
