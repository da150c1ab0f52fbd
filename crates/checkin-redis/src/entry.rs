//! An entry of the log as Redis returns it, whichever program wrote it.

use redis_link::Reply;

use checkin_domain::number::decimal;
use checkin_domain::{Checkin, CheckinId, StarRating};
use checkin_storage::{LogEntry, Result};

use crate::reply::{array, text, texts, unexpected};

/// The field with the time (ms) of a check-in, if its id is not its time.
pub(crate) const TIME: &str = "time";

/// The field with the comment of a check-in, if it has one. Another program may use the name for something
/// else: a text that breaks the rules of a comment is none.
const COMMENT: &str = "comment";

/// An entry of a stream: its id, and its field names and values alternately.
#[derive(Clone, Debug)]
pub(crate) struct RawEntry {
    pub(crate) id: CheckinId,
    fields: Vec<String>,
    /// The time of arrival (ms), if the id is ahead of the clock and the entry has no time.
    pub(crate) arrived_ms: Option<u64>,
}

/// Reads the reply to `XRANGE`.
pub(crate) fn read_all(reply: Reply) -> Result<Vec<RawEntry>> {
    array(reply)?.into_iter().map(read).collect()
}

fn read(reply: Reply) -> Result<RawEntry> {
    match <[Reply; 2]>::try_from(array(reply)?) {
        Ok([entry, fields]) => {
            Ok(RawEntry { id: id(entry)?, fields: texts(fields)?, arrived_ms: None })
        }
        Err(_) => Err(unexpected("an entry of a stream")),
    }
}

/// Reads an id of a stream.
pub(crate) fn id(reply: Reply) -> Result<CheckinId> {
    text(reply)?.parse().map_err(|_| unexpected("the id of an entry"))
}

impl RawEntry {
    /// Returns the value of a field; the first one if the field is repeated.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.fields.chunks_exact(2);
        pairs.find(|pair| pair[0] == name).map(|pair| pair[1].as_str())
    }

    /// Returns the check-in.
    ///
    /// # Errors
    ///
    /// The rule that the entry violates.
    pub(crate) fn checkin(&self) -> std::result::Result<Checkin, String> {
        let value = |name: &str| self.value(name).ok_or_else(|| format!("{name} is missing"));
        let rule = |name: &str, rule: &dyn std::fmt::Display| format!("{name} {rule}");
        let stars = decimal(value("starRating")?).unwrap_or(u64::MAX);
        let time_ms = match self.value(TIME) {
            Some(time) => decimal(time).filter(|time| *time <= self.id.ms).ok_or_else(|| {
                rule(TIME, &"must be milliseconds, not later than the entry's id")
            })?,
            None => self.arrived_ms.unwrap_or(self.id.ms),
        };
        Ok(Checkin {
            id: self.id,
            time_ms,
            user: value("userId")?.parse().map_err(|error| rule("userId", &error))?,
            location: value("locationId")?.parse().map_err(|error| rule("locationId", &error))?,
            stars: StarRating::try_from(stars).map_err(|error| rule("starRating", &error))?,
            comment: self.value(COMMENT).and_then(|comment| comment.parse().ok()),
            is_private: false,
        })
    }

    /// Returns the entry for a processor.
    pub(crate) fn entry(self) -> LogEntry {
        match self.checkin() {
            Ok(checkin) => LogEntry::Checkin(checkin),
            Err(reason) => LogEntry::Unreadable { id: self.id, reason, fields: self.fields_json() },
        }
    }

    /// Reads the entry of a dead letter.
    ///
    /// # Errors
    ///
    /// The rule that the text violates.
    pub(crate) fn from_json(id: CheckinId, fields: &str) -> std::result::Result<Self, String> {
        let rule = "the fields are not a JSON object of texts";
        let object: std::collections::BTreeMap<String, String> =
            serde_json::from_str(fields).map_err(|_| rule.to_owned())?;
        Ok(Self {
            id,
            fields: object.into_iter().flat_map(|(name, value)| [name, value]).collect(),
            arrived_ms: None,
        })
    }

    /// Returns the fields as a JSON object, with the first value of a field that is repeated: the entry is
    /// read by it, and a replay must not read another one.
    fn fields_json(&self) -> String {
        let mut object = serde_json::Map::new();
        for pair in self.fields.chunks_exact(2) {
            object.entry(pair[0].clone()).or_insert_with(|| pair[1].clone().into());
        }
        serde_json::Value::Object(object).to_string()
    }
}
