//! Entries of the log that cannot be applied.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use checkin_domain::{Checkin, CheckinId};
use serde_json::json;

use crate::{Batch, LogEntry, Result};

/// The dead letters: entries that cannot be applied, kept until somebody has repaired the cause.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Returns the dead letters after `after`, in order, at most `limit`.
    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Applies a dead letter and removes it; if it still cannot be applied, it stays.
    async fn replay(&self, id: DeadLetterId) -> Result<Replay>;
}

/// An entry that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The part of the log, and the id of the entry.
    pub id: DeadLetterId,
    /// What is wrong with it.
    pub reason: String,
    /// Its fields as a JSON object.
    pub fields: String,
}

impl DeadLetter {
    /// Returns the dead letter that a check-in of this part becomes.
    #[must_use]
    pub fn of(part: usize, checkin: &Checkin, reason: Dangling) -> Self {
        let Checkin { id, time_ms, user, location, stars, comment, .. } = checkin;
        let mut fields = json!({
            "userId": user.to_string(),
            "locationId": location.to_string(),
            "starRating": stars.to_string(),
        });
        if *time_ms != id.ms {
            fields["time"] = time_ms.to_string().into();
        }
        if let Some(comment) = comment {
            fields["comment"] = comment.as_str().into();
        }
        let id = DeadLetterId { part, entry: *id };
        Self { id, reason: reason.to_string(), fields: fields.to_string() }
    }

    /// Returns the dead letters that the unreadable entries of a batch become.
    pub fn unreadable(batch: &Batch) -> impl Iterator<Item = Self> {
        batch.entries.iter().filter_map(|entry| match entry {
            LogEntry::Checkin(_) => None,
            LogEntry::Unreadable { id, reason, fields } => {
                let id = DeadLetterId { part: batch.part, entry: *id };
                Some(Self { id, reason: reason.clone(), fields: fields.clone() })
            }
        })
    }
}

/// The name of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// The number of the part of the log.
    pub part: usize,
    /// The id of the entry.
    pub entry: CheckinId,
}

/// As `PARTITION/MILLISECONDS-SEQUENCE`.
impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.entry)
    }
}

impl FromStr for DeadLetterId {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parse = || {
            let (part, entry) = text.split_once('/')?;
            Some(Self { part: part.parse().ok()?, entry: entry.parse().ok()? })
        };
        let rule = "must be PARTITION/MILLISECONDS-SEQUENCE, such as 0/1609602085397-0";
        parse().ok_or_else(|| rule.to_owned())
    }
}

/// The result of [`DeadLetters::replay`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It is applied and is no longer a dead letter.
    Applied,
    /// There is no such dead letter.
    Unknown,
    /// It still cannot be applied, for this reason.
    StillDead(String),
}

/// The record that a check-in refers to and that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dangling {
    /// The location, and perhaps the user as well.
    Location,
    /// The user.
    User,
}

impl Dangling {
    /// Returns what is missing, if anything is.
    #[must_use]
    pub fn of(has_location: bool, has_user: bool) -> Option<Self> {
        match (has_location, has_user) {
            (false, _) => Some(Self::Location),
            (true, false) => Some(Self::User),
            (true, true) => None,
        }
    }
}

impl fmt::Display for Dangling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location => "there is no such location",
            Self::User => "there is no such user",
        })
    }
}
