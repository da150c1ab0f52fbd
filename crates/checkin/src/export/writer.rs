//! The formats, and the one way to write all of them.

use std::fmt;
use std::io::{Result, Write};
use std::str::FromStr;

use super::{gpx, json, table};
use crate::domain::{Checkin, CheckinId, Location};

/// A check-in, and where that is.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedCheckin<'a> {
    /// What it is known by elsewhere; `None` if no other store would take its id.
    pub id: Option<CheckinId>,
    /// What the store has.
    pub checkin: Checkin,
    /// Its place; `None` if the store has it no more.
    pub location: Option<&'a Location>,
}

/// How an export looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object with the list `checkins`.
    Json,
    /// A table of comma-separated values.
    Csv,
    /// Waypoints, GPX 1.1. A check-in at a place that there is no more has no point, and is left out.
    Gpx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Gpx];

    /// Its name, which files have as their extension, too.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Gpx => "gpx",
        }
    }

    /// For a `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Gpx => "application/gpx+xml",
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> std::result::Result<Self, FormatError> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or(FormatError)
    }
}

/// There is no such format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError;

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be one of json, csv, gpx")
    }
}

impl std::error::Error for FormatError {}

/// Writes check-ins in one format, each at once and whole.
#[derive(Debug)]
pub struct Writer<W: Write> {
    format: Format,
    out: W,
    is_first: bool,
}

impl<W: Write> Writer<W> {
    /// Writes what stands before the first check-in.
    ///
    /// # Errors
    ///
    /// When it cannot be written; so do the other ones.
    pub fn new(format: Format, mut out: W) -> Result<Self> {
        match format {
            Format::Json => json::begin(&mut out)?,
            Format::Csv => table::begin(&mut out)?,
            Format::Gpx => gpx::begin(&mut out)?,
        }
        Ok(Self { format, out, is_first: true })
    }

    /// Writes one check-in.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&mut self, visit: &ExportedCheckin<'_>) -> Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            Format::Json => {
                let separator = if is_first { "" } else { "," };
                json::write(&mut self.out, separator, visit)
            }
            Format::Csv => table::write(&mut self.out, visit),
            Format::Gpx => gpx::write(&mut self.out, visit),
        }
    }

    /// Where it is written to, such as a buffer that is to be sent and emptied between two pages.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes what stands behind the last check-in, and gives back where it is written to.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W> {
        match self.format {
            Format::Json => json::end(&mut self.out)?,
            Format::Csv => {}
            Format::Gpx => gpx::end(&mut self.out)?,
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
