//! Exports a user's check-ins: as JSON, as a table, as waypoints, or as events of a calendar.
//!
//! A [`Writer`] writes each check-in at once, so that a caller who reads pages of check-ins needs
//! only the memory of one page for a file or the body of a response. [`import`](crate::import)
//! reads the JSON and the table.
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
mod ics;
mod json;
mod source;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use source::HistoryReader;
pub(crate) use table::plain;
pub use writer::{ExportedCheckin, Format, FormatError, Writer};

use jiff::Timestamp;

use crate::domain::Checkin;

/// Returns the rating of a check-in as a text, and whether it is private.
fn rated(checkin: &Checkin) -> String {
    let rating = match checkin.stars.get() {
        1 => "1 star".to_owned(),
        stars => format!("{stars} stars"),
    };
    if checkin.is_private { rating + ", private" } else { rating }
}

/// Removes the characters that XML and calendars cannot contain, not even escaped.
fn printable(text: &str) -> String {
    let refused = |c: &char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(|c| !refused(c)).collect()
}

/// Formats a time as RFC 3339 in UTC. Returns `None` after the year 9999.
fn rfc3339(ms: u64) -> Option<String> {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
    Some(time.to_string())
}

/// Formats a time as RFC 3339; after the year 9999 as milliseconds since 1970.
fn time(ms: u64) -> String {
    rfc3339(ms).unwrap_or_else(|| ms.to_string())
}
