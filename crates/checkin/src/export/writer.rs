//! Writes check-ins in each of the formats.

use std::fmt;
use std::io::{Result, Write};
use std::str::FromStr;

use super::{gpx, ics, json, table};
use crate::domain::{Checkin, CheckinId, Location};

/// A check-in with its location.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedCheckin<'a> {
    /// The id in the export; `None` if other stores would refuse it.
    pub id: Option<CheckinId>,
    /// The stored check-in.
    pub checkin: Checkin,
    /// The location; `None` if the store no longer has it.
    pub location: Option<&'a Location>,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object with the list `checkins`.
    Json,
    /// A table of comma-separated values.
    Csv,
    /// Waypoints, GPX 1.1. A check-in whose location no longer exists has no point and is left out.
    Gpx,
    /// Events for calendars, iCalendar (RFC 5545). A check-in after the year 9999 is left out.
    Ics,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Gpx, Self::Ics];

    /// Returns the name, which is also the file extension.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Gpx => "gpx",
            Self::Ics => "ics",
        }
    }

    /// Returns the media type for `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Gpx => "application/gpx+xml",
            Self::Ics => "text/calendar; charset=utf-8",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> std::result::Result<Self, FormatError> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or(FormatError)
    }
}

/// The format does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError;

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be one of json, csv, gpx, ics")
    }
}

impl std::error::Error for FormatError {}

/// Writes check-ins in one format. Each one is written at once and complete.
#[derive(Debug)]
pub struct Writer<W: Write> {
    format: Format,
    out: W,
    is_first: bool,
}

impl<W: Write> Writer<W> {
    /// Writes the beginning of the file.
    ///
    /// # Errors
    ///
    /// If it cannot be written, like the other methods.
    pub fn new(format: Format, mut out: W) -> Result<Self> {
        match format {
            Format::Json => json::begin(&mut out)?,
            Format::Csv => table::begin(&mut out)?,
            Format::Gpx => gpx::begin(&mut out)?,
            Format::Ics => ics::begin(&mut out)?,
        }
        Ok(Self { format, out, is_first: true })
    }

    /// Writes one check-in.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&mut self, visit: &ExportedCheckin<'_>) -> Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            Format::Json => {
                let separator = if is_first { "" } else { "," };
                json::write(&mut self.out, separator, visit)
            }
            Format::Csv => table::write(&mut self.out, visit),
            Format::Gpx => gpx::write(&mut self.out, visit),
            Format::Ics => ics::write(&mut self.out, visit),
        }
    }

    /// Returns the output, such as a buffer that is sent and emptied between two pages.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes the end of the file and returns the output.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<W> {
        match self.format {
            Format::Json => json::end(&mut self.out)?,
            Format::Csv => {}
            Format::Gpx => gpx::end(&mut self.out)?,
            Format::Ics => ics::end(&mut self.out)?,
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
