//! One record of each section, field by field.

use std::fmt;

use serde_json::value::RawValue;
use unicode_normalization::UnicodeNormalization;

use super::fields::Fields;
use super::value::Day;
use super::{time, value};
use crate::domain::{
    CheckinId, Email, Location, LocationDetails, LocationId, MAX_PASSWORD_BYTES,
    MIN_PASSWORD_CHARS, NewCheckin, OpeningHours, PasswordHash, PasswordHashError, StarRating,
    User, UserId,
};

/// A user whose password may still have to be hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub id: UserId,
    pub first_name: String,
    pub last_name: String,
    pub email: Email,
    pub password: Password,
    pub num_checkins: u64,
    /// In milliseconds since 1970.
    pub last_checkin: Option<u64>,
    pub last_seen_at: Option<LocationId>,
}

impl UserRecord {
    /// The user, with this hash in place of whatever password the record held.
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

/// A password as a file may hold it. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// To be hashed before it is stored.
    Plain(String),
    /// To be stored as it is.
    Hash(PasswordHash),
}

impl TryFrom<String> for Password {
    type Error = PasswordHashError;

    /// What looks like a hash and cannot be checked is no password: whoever read the hash could log in
    /// with it.
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

// Every field is taken before the first `?`, so that all errors of a record are found at once.

pub(super) fn user(fields: &mut Fields<'_>) -> Option<UserRecord> {
    let id = fields.required("id", value::new_id);
    let first_name = fields.required("firstName", value::name);
    let last_name = fields.required("lastName", value::name_or_empty);
    let email = fields.required("email", value::parsed);
    let password = fields.required("password", password);
    let num_checkins = fields.optional("numCheckins", value::count);
    let last_checkin = fields.optional("lastCheckin", time::last_time);
    let last_seen_at = fields.optional("lastSeenAt", value::last_place);
    fields.check_time("lastCheckin", last_checkin.flatten());
    Some(UserRecord {
        id: id?,
        first_name: first_name?,
        last_name: last_name?,
        email: email?,
        password: password?,
        num_checkins: num_checkins?,
        last_checkin: last_checkin?,
        last_seen_at: last_seen_at?,
    })
}

fn password(raw: &RawValue) -> Result<Password, String> {
    let text = value::text(raw)?;
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let password = Password::try_from(text).map_err(|error| error.to_string())?;
    if let Password::Plain(text) = &password {
        let normal: String = text.nfc().collect();
        if normal.len() > MAX_PASSWORD_BYTES {
            return Err(format!("must have at most {MAX_PASSWORD_BYTES} bytes"));
        }
        if normal.chars().count() < MIN_PASSWORD_CHARS {
            return Err(format!("must have at least {MIN_PASSWORD_CHARS} characters"));
        }
    }
    Ok(password)
}

pub(super) fn location(fields: &mut Fields<'_>) -> Option<Location> {
    let id = fields.required("id", value::new_id);
    let name = fields.required("name", value::name);
    let category = fields.required("category", value::parsed);
    let coordinates = fields.required("location", value::parsed);
    let num_checkins = fields.optional("numCheckins", value::count);
    let num_stars = fields.optional("numStars", value::count);
    fields.optional("averageStars", value::average);
    let location = Location {
        id: id?,
        name: name?,
        category: category?,
        coordinates: coordinates?,
        num_checkins: num_checkins?,
        num_stars: num_stars?,
    };
    let most = u64::from(StarRating::MAX).saturating_mul(location.num_checkins);
    if location.num_stars > most {
        fields.error("numStars", "must be at most five times numCheckins");
    }
    Some(location)
}

/// Details whose hours are to be read on a clock.
pub(super) struct DetailsRecord {
    pub(super) details: LocationDetails,
    pub(super) days: Vec<Day>,
}

pub(super) fn details(fields: &mut Fields<'_>) -> Option<DetailsRecord> {
    let id = fields.required("id", value::new_id);
    let description = fields.required("description", value::description);
    let website = fields.dispensable("website", value::optional);
    let phone = fields.dispensable("phone", value::phone);
    let socials = fields.dispensable("socials", value::socials);
    let days = fields.required("hours", value::days);
    let details = LocationDetails {
        id: id?,
        description: description?,
        website,
        phone,
        socials,
        hours: OpeningHours::default(),
    };
    Some(DetailsRecord { details, days: days? })
}

/// A check-in as a file has it: with an id, or a time, or both.
pub(super) struct CheckinRecord {
    pub(super) id: Option<CheckinId>,
    pub(super) time_ms: u64,
    pub(super) checkin: NewCheckin,
}

/// What our own exports say of the place beside its id is looked at and not used.
pub(super) fn checkin(fields: &mut Fields<'_>) -> Option<CheckinRecord> {
    let id = fields.optional("id", time::id);
    let time_ms = fields.optional("time", time::time);
    let user = fields.required("userId", value::id);
    let location = fields.required("locationId", value::id);
    let stars = fields.required("starRating", value::stars);
    fields.optional("locationName", value::any_text);
    fields.optional("longitude", value::longitude);
    fields.optional("latitude", value::latitude);
    fields.check_time("time", time_ms.flatten());
    fields.check_time("id", id.flatten().map(|id| id.ms));
    let (id, time_ms) = (id?, time_ms?);
    let Some(time_ms) = time_ms.or(id.map(|id| id.ms)) else {
        fields.error("id", "must be given where there is no time");
        return None;
    };
    let checkin = NewCheckin { user: user?, location: location?, stars: stars? };
    Some(CheckinRecord { id, time_ms, checkin })
}
