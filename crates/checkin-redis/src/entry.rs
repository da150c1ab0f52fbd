//! An entry of the log, as Redis gives it and whoever wrote it.

use redis_link::Reply;

use checkin_domain::number::decimal;
use checkin_domain::{Checkin, CheckinId, StarRating};
use checkin_storage::{LogEntry, Result};

use crate::reply::{array, text, texts, unexpected};

/// The field of a check-in whose id is not its time: when it was made, in ms.
pub(crate) const TIME: &str = "time";

/// An entry of a stream: its id, and its names and values in turn.
#[derive(Clone, Debug)]
pub(crate) struct RawEntry {
    pub(crate) id: CheckinId,
    fields: Vec<String>,
    /// When it came in (ms), if its id is ahead of the clock and it does not say.
    pub(crate) arrived_ms: Option<u64>,
}

/// The answer to `XRANGE`.
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

/// An id of a stream.
pub(crate) fn id(reply: Reply) -> Result<CheckinId> {
    text(reply)?.parse().map_err(|_| unexpected("the id of an entry"))
}

impl RawEntry {
    /// The value of a field; of twins the first one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.fields.chunks_exact(2);
        pairs.find(|pair| pair[0] == name).map(|pair| pair[1].as_str())
    }

    /// The check-in.
    ///
    /// # Errors
    ///
    /// The rule that the entry breaks.
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
        })
    }

    /// The same for who counts.
    pub(crate) fn entry(self) -> LogEntry {
        match self.checkin() {
            Ok(checkin) => LogEntry::Checkin(checkin),
            Err(reason) => LogEntry::Unreadable { id: self.id, reason, fields: self.fields_json() },
        }
    }

    /// The entry of a dead letter.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks.
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

    fn fields_json(&self) -> String {
        let fields = self.fields.chunks_exact(2);
        let fields = fields.map(|pair| (pair[0].clone(), pair[1].clone().into()));
        serde_json::Value::Object(fields.collect()).to_string()
    }
}
