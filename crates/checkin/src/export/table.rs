//! Writes comma-separated values (RFC 4180), which spreadsheets open.

use std::borrow::Cow;
use std::io::{Result, Write};

use csv::{Terminator, WriterBuilder};

use super::ExportedCheckin;
use crate::domain::Coordinates;

/// The columns, with the names that an import expects.
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

/// The characters with which a formula begins.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// The initial size of a row. Most rows are shorter.
const ROW_BYTES: usize = 256;

pub(super) fn begin(out: &mut impl Write) -> Result<()> {
    row(out, &COLUMNS)
}

pub(super) fn write(out: &mut impl Write, visit: &ExportedCheckin<'_>) -> Result<()> {
    let ExportedCheckin { id, checkin, location } = visit;
    let name = location.map_or(Cow::default(), |location| harmless(&location.name));
    let degrees =
        |degrees: Option<f64>| degrees.map_or(String::new(), |degrees| degrees.to_string());
    let coordinates = location.map(|location| location.coordinates);
    row(
        out,
        &[
            &id.map_or(String::new(), |id| id.to_string()),
            &super::time(checkin.time_ms),
            &checkin.user.to_string(),
            &checkin.location.to_string(),
            &name,
            &degrees(coordinates.map(Coordinates::longitude)),
            &degrees(coordinates.map(Coordinates::latitude)),
            &checkin.stars.to_string(),
            &checkin.comment.as_ref().map_or(Cow::default(), |comment| harmless(comment.as_str())),
            if checkin.is_private { "true" } else { "" },
        ],
    )
}

/// Returns a text that no spreadsheet reads as a formula. Otherwise a user who names a location
/// could run a formula on the computers of its visitors. [`plain`] is the way back.
fn harmless(text: &str) -> Cow<'_, str> {
    match text.trim_start_matches('\'').starts_with(FORMULA) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Returns the text of which [`harmless`] made this one.
pub(crate) fn plain(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        _ => text,
    }
}

/// Creates a writer for each row, because a writer would buffer rows.
fn row(out: &mut impl Write, cells: &[&str]) -> Result<()> {
    let mut builder = WriterBuilder::new();
    builder.terminator(Terminator::CRLF).buffer_capacity(ROW_BYTES);
    let mut writer = builder.from_writer(out);
    writer.write_record(cells).map_err(std::io::Error::from)?;
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::written;
    use super::*;

    #[test]
    fn each_check_in_is_a_row() {
        assert_eq!(
            written(Format::Csv, "Zoë's \"Two\", Inc."),
            "id,time,userId,locationId,locationName,longitude,latitude,starRating,comment,private\r\n\
             1793491200000-0,2021-01-02T15:41:25.397Z,77,2,\"Zoë's \"\"Two\"\", Inc.\",-122.2711,37.8044,5,\"'=\"\"1\"\"\",true\r\n\
             1609602085000-1,2021-01-02T15:41:25Z,77,2,,,,5,,\r\n"
        );
    }

    #[test]
    fn names_are_never_formulas() {
        for name in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(name), format!("'{name}"));
            assert!(written(Format::Csv, name).contains(&format!("'{}", &name[..1])));
        }
        for text in ["A-1 = @home", "'tis", "''", "=1", "'=1", "''=1", "'"] {
            assert_eq!(plain(&harmless(text)), text);
        }
        assert_eq!(harmless("A-1 = @home"), "A-1 = @home");
    }
}
