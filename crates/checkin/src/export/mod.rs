//! A person's check-ins for other programs: as JSON, as a table, as waypoints.
//!
//! A [`Writer`] takes one check-in after the other and writes it through at once, so that whoever
//! has pages of them, and a file or the body of an answer, needs no more memory than for a page.
//! What the JSON and the table say is what [`import`](crate::import) reads.
//!
//! ```
//! use checkin::export::{Format, Writer};
//!
//! let mut writer = Writer::new(Format::Json, Vec::new())?;
//! // Once for each check-in: writer.write(&visit)?;
//! let written = writer.finish()?;
//! assert_eq!(written, b"{\"checkins\":[\n]}\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod gpx;
mod json;
mod source;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use source::HistoryReader;
pub use writer::{ExportedCheckin, Format, FormatError, Writer};

use jiff::Timestamp;

/// A time as RFC 3339 has it, in UTC; `None` beyond the year 9999.
fn rfc3339(ms: u64) -> Option<String> {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
    Some(time.to_string())
}

/// The same where there must be one: later times stand as milliseconds since 1970.
fn time(ms: u64) -> String {
    rfc3339(ms).unwrap_or_else(|| ms.to_string())
}
