//! What is wrong in a file, and where.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::domain::UserId;

/// One broken rule: `people.json: users[3].email: must contain exactly one @`.
///
/// The value itself is never shown; it may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    pub file: Arc<str>,
    /// `None` if the file as a whole is wrong.
    pub section: Option<Section>,
    /// Position in the section, from 0; `None` if the section as a whole is wrong.
    pub index: Option<usize>,
    /// `None` if the record as a whole is wrong.
    pub field: Option<String>,
    pub rule: Rule,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if let Some(section) = self.section {
            write!(f, "{section}")?;
        }
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if let Some(field) = &self.field {
            let dot = if self.section.is_some() { "." } else { "" };
            write!(f, "{dot}{}", field.escape_debug())?;
        }
        if self.section.is_some() || self.field.is_some() {
            f.write_str(": ")?;
        }
        self.rule.fmt(f)
    }
}

impl Error for RecordError {}

/// The lists that a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    Users,
    Locations,
    LocationDetails,
    Checkins,
}

impl Section {
    pub const ALL: [Self; 4] =
        [Self::Users, Self::Locations, Self::LocationDetails, Self::Checkins];

    /// The key in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Locations => "locations",
            Self::LocationDetails => "locationDetails",
            Self::Checkins => "checkins",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPlace {
    pub file: Arc<str>,
    pub section: Section,
    pub index: usize,
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}]", self.file, self.section, self.index)
    }
}

/// The rule that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The file is not JSON, or not an object; nothing of it is taken. Line and column from 1.
    Malformed {
        line: usize,
        column: usize,
        message: String,
    },
    /// A field, or a section, that nobody knows.
    Unknown,
    /// A field, or a section, that stands there twice: readers differ in which one they take.
    Twice,
    Missing,
    /// Another record of the section, in this file or an earlier one, has the same id.
    SameId {
        other: RecordPlace,
    },
    /// Neither could be told apart at login, so neither could log in.
    SameEmail {
        user: UserId,
        other_user: UserId,
        other: RecordPlace,
    },
    /// The value breaks a rule of its type.
    Value(String),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, column, message } => {
                write!(f, "line {line}, column {column}: {message}")
            }
            Self::Unknown => f.write_str("is not known"),
            Self::Twice => f.write_str("stands there twice"),
            Self::Missing => f.write_str("is missing"),
            Self::SameId { other } => write!(f, "is the id of {other} already"),
            Self::SameEmail { user, other_user, other } => {
                write!(f, "users {other_user} and {user} have the same address (first: {other})")
            }
            Self::Value(rule) => f.write_str(rule),
        }
    }
}
