//! The errors of a file, and their places.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::domain::{UserId, Weekday};

/// One broken rule: `people.json: users[3].email: must contain exactly one @`.
///
/// The value itself is never shown, because it may be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    pub place: RecordPlace,
    /// `None` if the error is in the record, the section or the file as a whole.
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

    /// Returns the key of the list in the file.
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

/// The place of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordPlace {
    pub file: Arc<str>,
    pub position: Position,
}

impl RecordPlace {
    /// Returns another place in the same file.
    pub(super) fn at(&self, position: Position) -> Self {
        Self { file: self.file.clone(), position }
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.position)
    }
}

/// A position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// The file as a whole.
    File,
    /// A list as a whole.
    Section(Section),
    /// A record of a list, counted from 0.
    Record(Section, usize),
    /// A line of a table, counted from 1.
    Line(u64),
    /// A check-in of another service's export, counted from 0.
    Item(usize),
}

impl Position {
    /// Returns whether it is the place of one record, and not of a file or a list as a whole.
    pub(super) fn is_of_record(self) -> bool {
        !matches!(self, Self::File | Self::Section(_))
    }
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
    /// The file is not JSON or not an object, and none of its records is read. Line and column
    /// start at 1.
    Malformed {
        line: usize,
        column: usize,
        rule: &'static str,
    },
    /// The field or the section is unknown.
    Unknown,
    /// The field or the section appears twice. Readers would differ in which one they use.
    Twice,
    Missing,
    /// Another record of the section, in this file or an earlier one, has the same id.
    SameId {
        other: RecordPlace,
    },
    /// Another record has the same user, location, rating and time.
    SameVisit {
        other: RecordPlace,
    },
    /// Another user has the same address. A login could not tell the two apart, so neither could
    /// log in.
    SameEmail {
        user: UserId,
        other_user: UserId,
        other: RecordPlace,
    },
    /// The opening hours of these days break a rule. The list is empty if the day is not known.
    OfDays {
        days: Vec<Weekday>,
        rule: String,
    },
    /// The value breaks a rule of its type.
    Value(String),
}

/// The rule of JSON that is no object with any of the sections.
pub(super) const NO_SECTIONS: &str =
    "must be an object with the lists users, locations, locationDetails or checkins";

impl Rule {
    /// Returns the error of a text that is not the expected object.
    pub(super) fn malformed(text: &str, error: &serde_json::Error) -> Self {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        let begins_with_a_value = values.next().is_some_and(|value| value.is_ok());
        let rule = match error.classify() {
            Category::Data => NO_SECTIONS,
            Category::Eof => "must not end here: the JSON is incomplete",
            _ if begins_with_a_value => "must end here: a file holds one JSON value",
            _ => "must be JSON, which it is not from here on",
        };
        // An empty line has only the column 0.
        Self::Malformed { line: error.line().max(1), column: error.column().max(1), rule }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, column, rule } => {
                write!(f, "line {line}, column {column}: {rule}")
            }
            Self::Unknown => f.write_str("must not be given: records have no such field"),
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
            Self::OfDays { days, rule } if days.is_empty() => f.write_str(rule),
            Self::OfDays { days, rule } => write!(f, "{} {rule}", day_names(days)),
            Self::Value(rule) => f.write_str(rule),
        }
    }
}

/// Returns the names of the days in one text.
pub fn day_names(days: &[Weekday]) -> String {
    let names: Vec<&str> = days.iter().map(|day| day.as_str()).collect();
    names.join(", ")
}
