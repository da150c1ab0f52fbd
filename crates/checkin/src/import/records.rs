//! The records of each section, field by field.

use std::fmt;

use super::time::{LastTime, MadeAt, TimeLimit, TimedId};
use super::value::{
    Count, Day, Days, Description, Dispensable, FileId, LastLocation, LastName, NewId, Optional,
    Phone, Remark, Socials, Stars, UnusedNumber, UnusedText,
};
use crate::domain::{
    Category, Checkin, CheckinId, Coordinates, Email, Location, LocationDetails, LocationId,
    NewCheckin, OpeningHours, PasswordHash, PasswordHashError, StarRating, User, UserId, Visit,
    Website,
};
use crate::input::{DisplayName, Given, Input, record};
use crate::passwords::acceptable;

/// All valid records of the files, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Import {
    pub users: Vec<UserRecord>,
    pub locations: Vec<Location>,
    pub details: Vec<LocationDetails>,
    pub checkins: Vec<Checkin>,
    /// The check-ins of Swarm.
    pub visits: Vec<Visit>,
}

/// A user whose password may still have to be hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub id: UserId,
    pub first_name: String,
    pub last_name: String,
    pub email: Email,
    pub password: Password,
    pub num_checkins: u64,
    /// The time in milliseconds since 1970.
    pub last_checkin: Option<u64>,
    pub last_seen_at: Option<LocationId>,
}

impl UserRecord {
    /// Returns the user with this hash instead of the record's password.
    pub fn with_password(self, password: PasswordHash) -> User {
        User {
            id: self.id,
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            password,
            num_checkins: self.num_checkins,
            last_checkin: self.last_checkin,
            last_seen_at: self.last_seen_at,
        }
    }
}

/// A password in a file. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// A password that must be hashed before it is stored.
    Plain(String),
    /// A hash that is stored as it is.
    Hash(PasswordHash),
}

impl TryFrom<String> for Password {
    type Error = PasswordHashError;

    /// Refuses a text that looks like a hash but cannot be checked. If it were stored as a
    /// password, people who have read the hash could log in with it.
    fn try_from(text: String) -> Result<Self, PasswordHashError> {
        match PasswordHash::parse(text.as_str()) {
            Ok(hash) => Ok(Self::Hash(hash)),
            Err(PasswordHashError::NoHash) => Ok(Self::Plain(text)),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Hash(hash) => hash.fmt(f),
        }
    }
}

record! {
    pub(super) struct UserFields(TimeLimit) {
        id "id": NewId<UserId>;
        first_name "firstName": DisplayName;
        last_name "lastName": LastName;
        email "email": Email;
        password "password": Password;
        num_checkins "numCheckins": Option<Count>;
        last_checkin "lastCheckin": Option<LastTime>;
        last_seen_at "lastSeenAt": Option<LastLocation>;
    }
    check |fields, latest| {
        latest.check(fields, "lastCheckin", last_checkin.flatten().and_then(|time| time.0));
    }
}

record! {
    pub(super) struct LocationFields(TimeLimit) {
        id "id": NewId<LocationId>;
        name "name": DisplayName;
        category "category": Category;
        coordinates "location": Coordinates;
        num_checkins "numCheckins": Option<Count>;
        num_stars "numStars": Option<Count>;
        _average "averageStars": Option<UnusedNumber<0, 5>>;
    }
    check |fields, _latest| {
        let figures = num_checkins.zip(num_stars);
        if figures.is_some_and(|(checkins, stars)| number_of(stars) > most_stars(number_of(checkins))) {
            fields.refuse("numStars", "must be at most five times numCheckins");
        }
    }
}

record! {
    pub(super) struct DetailsFields(TimeLimit) {
        id "id": NewId<LocationId>;
        description "description": Description;
        website "website": Dispensable<Website>;
        phone "phone": Dispensable<Phone>;
        socials "socials": Dispensable<Socials>;
        days "hours": Days;
    }
}

record! {
    /// The location's data that our own exports add to its id are checked and ignored.
    pub(super) struct CheckinFields(TimeLimit) {
        id "id": Optional<TimedId>;
        time "time": Optional<MadeAt>;
        user "userId": FileId<UserId>;
        location "locationId": FileId<LocationId>;
        stars "starRating": Stars;
        _location_name "locationName": Option<UnusedText>;
        _longitude "longitude": Option<UnusedNumber<-180, 180>>;
        _latitude "latitude": Option<UnusedNumber<-90, 90>>;
        comment "comment": Optional<Remark>;
        is_private "private": Optional<bool>;
    }
    check |fields, latest| {
        latest.check(fields, "time", time.and_then(|time| time.0).map(|time| time.0));
        latest.check(fields, "id", id.and_then(|id| id.0).map(|id| id.0.ms));
        if id.is_some_and(|id| id.0.is_none()) && time.is_some_and(|time| time.0.is_none()) {
            fields.refuse("id", "must be given if there is no time");
        }
    }
}

fn number_of(count: Option<Count>) -> u64 {
    count.map_or(0, |count| count.0)
}

/// Returns the maximum of `numStars`, since no average is above five stars.
fn most_stars(num_checkins: u64) -> u64 {
    u64::from(StarRating::MAX).saturating_mul(num_checkins)
}

impl Input for Password {
    fn read(given: &Given<'_>) -> Result<Self, String> {
        let text = given.text()?.to_owned();
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        match Self::try_from(text).map_err(|error| error.to_string())? {
            Self::Plain(text) => acceptable(text).map(Self::Plain),
            hash @ Self::Hash(_) => Ok(hash),
        }
    }
}

impl From<UserFields> for UserRecord {
    fn from(fields: UserFields) -> Self {
        Self {
            id: fields.id.0,
            first_name: fields.first_name.0,
            last_name: fields.last_name.0,
            email: fields.email,
            password: fields.password,
            num_checkins: number_of(fields.num_checkins),
            last_checkin: fields.last_checkin.and_then(|time| time.0),
            last_seen_at: fields.last_seen_at.and_then(|place| place.0),
        }
    }
}

impl From<LocationFields> for Location {
    fn from(fields: LocationFields) -> Self {
        Self {
            id: fields.id.0,
            name: fields.name.0,
            category: fields.category,
            coordinates: fields.coordinates,
            num_checkins: number_of(fields.num_checkins),
            num_stars: number_of(fields.num_stars),
        }
    }
}

/// Details without their hours, whose clock must be known first.
pub(super) struct DetailsRecord {
    pub(super) details: LocationDetails,
    pub(super) days: Vec<Day>,
    /// The wrong fields, which are left out, and the rules that they break.
    pub(super) left_out: Vec<(&'static str, String)>,
}

impl From<DetailsFields> for DetailsRecord {
    fn from(fields: DetailsFields) -> Self {
        let DetailsFields { id, description, website, phone, socials, days } = fields;
        let mut left_out = Vec::new();
        let website = without_wrong("website", website, &mut left_out);
        let phone = without_wrong("phone", phone, &mut left_out).map(|phone| phone.0);
        let socials = without_wrong("socials", socials, &mut left_out);
        let details = LocationDetails {
            id: id.0,
            description: description.0,
            website,
            phone,
            socials: socials.map(|socials| socials.0).unwrap_or_default(),
            hours: OpeningHours::default(),
        };
        Self { details, days: days.0, left_out }
    }
}

/// Returns the value, or adds the error and returns the default.
fn without_wrong<T>(
    name: &'static str,
    Dispensable(value): Dispensable<T>,
    left_out: &mut Vec<(&'static str, String)>,
) -> Option<T> {
    value.map_err(|rule| left_out.push((name, rule))).ok()?.0
}

/// A check-in in a file: with an id, or a time, or both.
pub(super) struct CheckinRecord {
    pub(super) id: Option<CheckinId>,
    pub(super) time_ms: u64,
    pub(super) checkin: NewCheckin,
}

impl From<CheckinFields> for CheckinRecord {
    fn from(fields: CheckinFields) -> Self {
        let CheckinFields { id, time, user, location, stars, comment, is_private, .. } = fields;
        let id = id.0.map(|id| id.0);
        // At least one of the two is given.
        let time_ms = time.0.map(|time| time.0).or(id.map(|id| id.ms)).unwrap_or_default();
        let checkin = NewCheckin {
            user: user.0,
            location: location.0,
            stars: stars.0,
            comment: comment.0.map(|comment| comment.0),
            is_private: is_private.0.unwrap_or_default(),
        };
        Self { id, time_ms, checkin }
    }
}
