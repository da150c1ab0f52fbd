//! The export of Swarm (Foursquare): who was where, without ratings.
//!
//! It is another's format, which changed over the years: what is missing or unknown is not an error
//! unless it is needed. Needed are the time (`createdAt`, UTC, as a text or in seconds) and a venue
//! with its name and its coordinates.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{RecordPlace, Rule};
use super::fields::Entries;
use super::matching::name_key;
use crate::domain::Coordinates;

/// Several times as long as Swarm's are.
const MAX_ID_CHARS: usize = 100;

/// A check-in of an export, before it is known which of our places it was at.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmVisit {
    /// Where it stands.
    pub place: RecordPlace,
    /// The other service's id; old exports have none.
    pub id: Option<String>,
    /// In milliseconds since 1970.
    pub time_ms: u64,
    /// Where it was.
    pub venue: Venue,
    /// Who could see it there.
    pub visibility: Visibility,
}

/// Who can see a check-in at the other service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// Nothing says that anybody may not.
    Public,
    /// Friends: what Swarm shares by default.
    Friends,
    /// Its owner alone, or it cannot be told who.
    Private,
}

/// A place as the export has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Venue {
    /// The other service's id; old exports have none.
    pub id: Option<String>,
    /// Without blanks around it.
    pub name: String,
    /// Of the venue, or else of the telephone.
    pub coordinates: Coordinates,
}

impl Venue {
    /// What it is remembered by: its id; without one, its name and coordinates, with a blank between
    /// that no id has.
    pub fn key(&self) -> String {
        match &self.id {
            Some(id) => id.clone(),
            None => format!("{} {}", name_key(&self.name), self.coordinates),
        }
    }
}

/// The check-ins of a file that is such an export: an object with `items`, or a list of check-ins.
pub(super) fn items(text: &str) -> Option<Vec<&RawValue>> {
    if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let first: Value = serde_json::from_str(items.first()?.get()).ok()?;
        return first.get("createdAt").is_some().then_some(items);
    }
    let Entries(entries) = serde_json::from_str(text).ok()?;
    let (_, items) = entries.into_iter().find(|(name, _)| name == "items")?;
    serde_json::from_str(items.get()).ok()
}

/// One check-in, or the field that is wrong; nothing if it is private, whatever else it says.
pub(super) fn visit(
    raw: &RawValue,
    place: RecordPlace,
) -> Result<Option<SwarmVisit>, (&'static str, Rule)> {
    let visibility = visibility(raw, NESTED);
    if visibility == Visibility::Private {
        return Ok(None);
    }
    let item: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    let time_ms = match item.get("createdAt") {
        None | Some(Value::Null) => return Err(("createdAt", Rule::Missing)),
        Some(time) => milliseconds(time).ok_or_else(|| {
            let rule = "must be a time like 2016-01-01 12:00:00, or seconds since 1970";
            ("createdAt", Rule::Value(rule.to_owned()))
        })?,
    };
    let name = item.pointer("/venue/name").and_then(Value::as_str).map(str::trim);
    let name = name.filter(|name| !name.is_empty()).ok_or(("venue.name", Rule::Missing))?;
    let of_venue = item.pointer("/venue/location").and_then(coordinates);
    let coordinates = of_venue.or_else(|| coordinates(&item));
    let coordinates = coordinates.ok_or(("venue.location", Rule::Missing))?;
    let id = id(item.get("id")).map_err(|rule| ("id", rule))?;
    let venue_id = self::id(item.pointer("/venue/id")).map_err(|rule| ("venue.id", rule))?;
    let venue = Venue { id: venue_id, name: name.to_owned(), coordinates };
    Ok(Some(SwarmVisit { place, id, time_ms, venue, visibility }))
}

/// An id of the other service; absent, `null` and empty mean that there is none.
fn id(value: Option<&Value>) -> Result<Option<String>, Rule> {
    let id = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        Some(_) => " ".to_owned(),
    };
    if id.chars().count() > MAX_ID_CHARS || id.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        let rule = format!("must be a text of at most {MAX_ID_CHARS} characters without blanks");
        return Err(Rule::Value(rule));
    }
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// How deep an item says who can see it: in itself, in its venue, and in the venue's location.
const NESTED: usize = 2;

/// The narrowest that any field says. All of equal name count: one that is said to be private and
/// then not is private.
fn visibility(object: &RawValue, nested: usize) -> Visibility {
    let Ok(Entries(entries)) = serde_json::from_str(object.get()) else {
        return Visibility::Public;
    };
    let of_field = |(name, value): (String, &RawValue)| {
        match name.to_lowercase().replace(['_', '-'], "").as_str() {
            "venue" | "location" if nested > 0 => visibility(value, nested - 1),
            // A fuzzed location is that of somebody's home.
            "private" | "isprivate" | "offthegrid" | "isfuzzed" if value.get() != "false" => {
                Visibility::Private
            }
            "visibility" => shared_with(value),
            _ => Visibility::Public,
        }
    };
    entries.into_iter().map(of_field).max().unwrap_or(Visibility::Public)
}

fn shared_with(value: &RawValue) -> Visibility {
    let text: String = serde_json::from_str(value.get()).unwrap_or_default();
    match text.to_lowercase().as_str() {
        "public" => Visibility::Public,
        "closefriends" | "friends" => Visibility::Friends,
        _ => Visibility::Private,
    }
}

fn milliseconds(time: &Value) -> Option<u64> {
    if let Some(seconds) = time.as_u64() {
        return seconds.checked_mul(1000).filter(|ms| i64::try_from(*ms).is_ok());
    }
    let text = time.as_str()?;
    let time = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(|time| TimeZone::UTC.to_timestamp(time)));
    u64::try_from(time.ok()?.as_millisecond()).ok()
}

fn coordinates(of: &Value) -> Option<Coordinates> {
    let degrees = |name| of.get(name).and_then(Value::as_f64);
    Coordinates::new(degrees("lng")?, degrees("lat")?).ok()
}
