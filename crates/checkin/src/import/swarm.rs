//! Reads the export of Swarm (Foursquare): the check-ins of a user, without ratings.
//!
//! The format is not ours and changed over the years, so missing or unknown fields are errors only
//! if they are needed. Needed are the time (`createdAt`, UTC, as a text or in seconds) and a venue
//! with its name and its coordinates.

use serde_json::value::RawValue;

use super::error::{RecordPlace, Rule, Section};
use super::json::{NOT_A_LIST, each, members};
use super::time::swarm_time;
use super::value::{Outcome, number};
use crate::domain::words::words;
use crate::domain::{Comment, Coordinates};
use crate::input::Given;
use crate::input::Members;

/// The maximum length of an id, several times as long as those of Swarm.
const MAX_ID_CHARS: usize = 100;

/// A check-in of an export, before its location is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SwarmVisit {
    /// The place of the check-in in the file.
    pub place: RecordPlace,
    /// The id at Swarm; old exports have none.
    pub id: Option<String>,
    /// The time in milliseconds since 1970.
    pub time_ms: u64,
    /// The venue of the check-in.
    pub venue: Venue,
    /// What its owner wrote, which Swarm calls a shout.
    pub comment: Option<Comment>,
    /// The people who could see it at Swarm.
    pub visibility: Visibility,
}

/// The people who can see a check-in at Swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// Everybody: no field restricts it.
    Public,
    /// Friends. Since 2014, Swarm marks every check-in that is not private like this.
    Friends,
    /// Only its owner, or the visibility cannot be read.
    Private,
}

/// A venue of the export.
#[derive(Debug, Clone, PartialEq)]
pub struct Venue {
    /// The id at Swarm; old exports have none.
    pub id: Option<String>,
    /// The name, without surrounding blanks.
    pub name: String,
    /// The coordinates of the venue, or else those of the telephone.
    pub coordinates: Coordinates,
}

impl Venue {
    /// Returns the key under which the venue's location is stored: its id or, without an id, its
    /// name and coordinates, separated by a blank, which no id contains.
    pub fn key(&self) -> String {
        match &self.id {
            Some(id) => id.clone(),
            None => format!("{} {}", name_key(&self.name), self.coordinates),
        }
    }
}

/// Returns the form in which names are compared: the words of the name, as in the search.
pub(super) fn name_key(name: &str) -> String {
    words(name).join(" ")
}

/// Returns the list of check-ins of a file if it is such an export: an object with `items` and none of our
/// lists, or a list of check-ins.
pub(super) fn items(text: &str) -> Option<Result<&str, Rule>> {
    if text.trim_start().starts_with('[') {
        let is_checkin =
            |item: &RawValue| members(item.get()).is_ok_and(|item| item.get("createdAt").is_some());
        let mut has_checkin = false;
        each(text, |item| has_checkin = has_checkin || is_checkin(item)).ok()?;
        return has_checkin.then_some(Ok(text));
    }
    let Members(members) = serde_json::from_str(text).ok()?;
    let is_ours = |name: &str| Section::ALL.iter().any(|section| section.as_str() == name);
    if members.iter().any(|(name, _)| is_ours(name)) {
        return None;
    }
    let mut items = members.into_iter().filter(|(name, _)| name == "items");
    match (items.next(), items.next()) {
        (None, _) => None,
        (Some((_, items)), None) if items.get().starts_with('[') => Some(Ok(items.get())),
        (Some(_), None) => Some(Err(Rule::Value(NOT_A_LIST.to_owned()))),
        (Some(_), Some(_)) => Some(Err(Rule::Twice)),
    }
}

/// A wrong field, or `None` if the whole item is wrong, and the rule.
type Wrong = (Option<&'static str>, Rule);

/// Reads one check-in. Returns `None` if it is private and something is wrong with it, which is not reported.
///
/// Only the needed fields are read. Other fields may have any value.
pub(super) fn visit(raw: &RawValue, place: RecordPlace) -> Result<Option<SwarmVisit>, Wrong> {
    let visibility = visibility(raw, NESTED);
    match readable(raw, place, visibility) {
        Err(_) if visibility == Visibility::Private => Ok(None),
        read => read.map(Some),
    }
}

fn readable(
    raw: &RawValue,
    place: RecordPlace,
    visibility: Visibility,
) -> Result<SwarmVisit, Wrong> {
    let item = members(raw.get()).map_err(|rule| (None, Rule::Value(rule)))?;
    let time_ms = needed(&item, "createdAt", "createdAt", |raw| swarm_time(&raw.into()))?;
    let venue = needed(&item, "venue", "venue", |raw| members(raw.get()))?;
    let name = needed(&venue, "name", "venue.name", name)?;
    let coordinates = match (coordinates_of_venue(&venue), coordinates(&item, ["lat", "lng"])) {
        (Ok(Some(point)), _) | (_, Ok(Some(point))) => point,
        (Err(wrong), _) | (_, Err(wrong)) => return Err(wrong),
        (Ok(None), Ok(None)) => return Err((Some("venue.location"), Rule::Missing)),
    };
    let id = id(&item, "id")?;
    let venue = Venue { id: self::id(&venue, "venue.id")?, name, coordinates };
    let shout = item.get("shout").map(Given::from);
    let comment = shout.and_then(|shout| Comment::adapted(shout.text().ok()?));
    Ok(SwarmVisit { place, id, time_ms, venue, comment, visibility })
}

/// Reads a value that is required. Errors name it `field`.
fn needed<'a, T>(
    object: &Members<'a>,
    name: &str,
    field: &'static str,
    read: fn(&'a RawValue) -> Outcome<T>,
) -> Result<T, Wrong> {
    let raw = object.get(name).ok_or((Some(field), Rule::Missing))?;
    read(raw).map_err(|rule| (Some(field), Rule::Value(rule)))
}

fn name(raw: &RawValue) -> Outcome<String> {
    let name = Given::from(raw).text()?.trim().to_owned();
    if name.is_empty() { Err("must not be empty or blank".to_owned()) } else { Ok(name) }
}

/// Reads a Swarm id. Absent, `null` and empty mean that there is none.
fn id(object: &Members<'_>, field: &'static str) -> Result<Option<String>, Wrong> {
    let Some(raw) = object.get("id") else {
        return Ok(None);
    };
    let given = Given::from(raw);
    let id = given.written();
    let is_id = matches!(given, Given::Text(_)) || number(id).is_some();
    let is_clean = !id.chars().any(|c| c.is_whitespace() || c.is_control());
    if !is_id || !is_clean || id.chars().count() > MAX_ID_CHARS {
        let rule = format!("must be a text of at most {MAX_ID_CHARS} characters without blanks");
        return Err((Some(field), Rule::Value(rule)));
    }
    Ok(Some(id.to_owned()).filter(|id| !id.is_empty()))
}

fn coordinates_of_venue(venue: &Members<'_>) -> Result<Option<Coordinates>, Wrong> {
    if venue.get("location").is_none() {
        return Ok(None);
    }
    let location = needed(venue, "location", "venue.location", |raw| members(raw.get()))?;
    coordinates(&location, ["venue.location.lat", "venue.location.lng"])
}

/// Reads the point of an object with `lat` and `lng`. Returns `None` if it has neither.
fn coordinates(
    of: &Members<'_>,
    [latitude, longitude]: [&'static str; 2],
) -> Result<Option<Coordinates>, Wrong> {
    if of.get("lat").is_none() && of.get("lng").is_none() {
        return Ok(None);
    }
    let latitude = needed(of, "lat", latitude, |raw| degrees(raw, 90.0))?;
    let longitude = needed(of, "lng", longitude, |raw| degrees(raw, 180.0))?;
    let point = Coordinates::new(longitude, latitude);
    point.map(Some).map_err(|rule| (Some("venue.location"), Rule::Value(rule.to_string())))
}

fn degrees(raw: &RawValue, most: f64) -> Outcome<f64> {
    let degrees: Option<f64> = serde_json::from_str(raw.get()).ok();
    degrees
        .filter(|degrees| degrees.abs() <= most)
        .ok_or_else(|| format!("must be a number from -{most} to {most}"))
}

/// The depth to which the visibility is searched: the item, its venue, and the venue's location.
const NESTED: usize = 2;

/// Returns the narrowest visibility of all fields. If a name repeats, all its values count: a
/// check-in that is marked as private once is private.
fn visibility(object: &RawValue, nested: usize) -> Visibility {
    let Ok(Members(members)) = members(object.get()) else {
        // The visibility of an object that cannot be read is unknown.
        let is_object = object.get().starts_with('{');
        return if is_object { Visibility::Private } else { Visibility::Public };
    };
    let of_field = |(name, value): (String, &RawValue)| {
        match name.to_lowercase().replace(['_', '-'], "").as_str() {
            "venue" | "location" if nested > 0 => visibility(value, nested - 1),
            // Swarm fuzzes the location of a person's home.
            "private" | "isprivate" | "offthegrid" | "isfuzzed" if !is_no(value) => {
                Visibility::Private
            }
            "visibility" if value.get() != "null" => shared_with(value),
            _ => Visibility::Public,
        }
    };
    members.into_iter().map(of_field).max().unwrap_or(Visibility::Public)
}

/// Returns whether a value is false in any spelling that programs use. `null` has no meaning.
fn is_no(value: &RawValue) -> bool {
    let text = Given::from(value).written().to_lowercase();
    matches!(text.as_str(), "false" | "no" | "0" | "null")
}

fn shared_with(value: &RawValue) -> Visibility {
    let text: String = serde_json::from_str(value.get()).unwrap_or_default();
    match text.to_lowercase().as_str() {
        "public" => Visibility::Public,
        "closefriends" | "friends" => Visibility::Friends,
        _ => Visibility::Private,
    }
}
