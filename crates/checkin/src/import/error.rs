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
    pub place: RecordPlace,
    /// `None` if the record, the section or the file as a whole is wrong.
    pub field: Option<String>,
    pub rule: Rule,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place.file)?;
        let position = self.place.position;
        write!(f, "{position}")?;
        if let Some(field) = &self.field {
            f.write_str(match position {
                Position::File => "",
                Position::Line(_) => ", ",
                Position::Section(_) | Position::Record(..) | Position::Item(_) => ".",
            })?;
            write!(f, "{}", field.escape_debug())?;
        }
        if position != Position::File || self.field.is_some() {
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordPlace {
    pub file: Arc<str>,
    pub position: Position,
}

impl RecordPlace {
    /// Another place in the same file.
    pub(super) fn at(&self, position: Position) -> Self {
        Self { file: self.file.clone(), position }
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.position)
    }
}

/// Where something stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// It is the file as a whole.
    File,
    /// It is a list as a whole.
    Section(Section),
    /// A record of a list, from 0.
    Record(Section, usize),
    /// A line of a table, from 1.
    Line(u64),
    /// A check-in of another service's export, from 0.
    Item(usize),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Section(section) => section.fmt(f),
            Self::Record(section, index) => write!(f, "{section}[{index}]"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Item(index) => write!(f, "items[{index}]"),
        }
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
    /// Another record is of the same user, place, rating and time.
    SameVisit {
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

impl Rule {
    /// What the parser says, with its line and column.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let place = format!(" at line {line} column {column}");
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        Self::Malformed { line, column, message }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, column, message } => {
                write!(f, "line {line}, column {column}: {message}")
            }
            Self::Unknown => f.write_str("must not be there: records have no such field"),
            Self::Twice => f.write_str("must be given once"),
            Self::Missing => f.write_str("must be given"),
            Self::SameId { other } => write!(f, "must not be the id of {other}, too"),
            Self::SameVisit { other } => write!(f, "must not be the same visit as {other}"),
            Self::SameEmail { user, other_user, other } => {
                write!(
                    f,
                    "must not be the address of both users {other_user} and {user} (first: {other})"
                )
            }
            Self::Value(rule) => f.write_str(rule),
        }
    }
}
