//! Reads files that hold secrets.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The maximum size of a file of secrets, larger than any real one.
const MAX_BYTES: u64 = 64 << 10;

/// Returns the lines of a file without their ends. Line ends at the end of the file do not count.
///
/// # Errors
///
/// The broken rule.
pub(super) fn lines(path: &Path) -> Result<Vec<String>, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    // An editor may put one there that nobody sees. Other programs would take it for a part of the secret.
    if text.starts_with('\u{feff}') {
        return Err(
            "must not begin with a byte order mark; save it as UTF-8 without one".to_owned()
        );
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("must hold at most {MAX_BYTES} bytes"));
    }
    let lines = text.trim_end_matches(['\r', '\n']).split('\n');
    Ok(lines.map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect())
}

/// Returns the only line of a file.
///
/// # Errors
///
/// The broken rule.
pub fn line(path: &Path) -> Result<String, String> {
    match <[String; 1]>::try_from(lines(path)?) {
        Ok([line]) => Ok(line),
        Err(_) => Err("must hold one line".to_owned()),
    }
}
