//! What the services answer, as far as the pages show it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::map_view::Point;
use super::time::Moment;
use crate::domain::{Name, Website};

/// How the browsers of people name themselves. Several name others, too, so the order matters.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// How systems are named by their browsers, in the same way.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// The answer of `GET /session`.
#[derive(Deserialize)]
pub(super) struct OwnAccount {
    pub(super) user: Account,
}

/// The account of the visitor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    pub(super) num_checkins: u64,
    /// The role, if it is more than a user's.
    role: Option<String>,
}

/// A place, with its distance if it was searched around a point.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) longitude: f64,
    pub(super) latitude: f64,
    pub(super) num_checkins: u64,
    pub(super) average_stars: f64,
    /// In miles.
    pub(super) distance: Option<f64>,
}

/// A place with everything that is known of it.
#[derive(Deserialize)]
pub(super) struct DescribedPlace {
    #[serde(flatten)]
    pub(super) place: Place,
    ratings: [u64; 6],
    pub(super) description: Option<String>,
    website: Option<String>,
    pub(super) phone: Option<String>,
    #[serde(default)]
    pub(super) hours: Vec<Day>,
}

/// The opening hours of a day.
#[derive(Deserialize)]
pub(super) struct Day {
    pub(super) day: String,
    pub(super) hours: String,
}

/// The number of check-ins with a number of stars, and its part of all of them in percent.
pub(super) struct Rating {
    pub(super) stars: usize,
    pub(super) count: u64,
    pub(super) percent: u64,
}

/// A visitor of a place.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Visit {
    pub(super) first_name: String,
    pub(super) last_name: String,
    timestamp: u64,
    pub(super) star_rating: u8,
    pub(super) comment: Option<String>,
}

/// A check-in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Checkin {
    pub(super) id: String,
    /// The name of the user, unless the list is that of one user, or there is no such user.
    first_name: Option<String>,
    last_name: Option<String>,
    pub(super) location_id: u64,
    pub(super) star_rating: u8,
    timestamp: u64,
    pub(super) comment: Option<String>,
    #[serde(rename = "private", default)]
    pub(super) is_private: bool,
}

/// A user in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Person {
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) num_checkins: Option<u64>,
}

/// The statistics of the visitor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statistics {
    pub(super) num_checkins: u64,
    pub(super) current_streak: u64,
    pub(super) longest_streak: u64,
    pub(super) num_locations: u64,
    pub(super) average_stars: Option<f64>,
    pub(super) categories: BTreeMap<String, u64>,
    /// The check-ins of each day of the last year with any.
    pub(super) days: BTreeMap<String, u64>,
}

/// The answer of `GET /sessions`.
#[derive(Deserialize)]
pub(super) struct Sessions {
    pub(super) sessions: Vec<ListedSession>,
}

/// A session of the visitor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedSession {
    pub(super) handle: String,
    since: u64,
    last_seen: u64,
    device: String,
    address: String,
    pub(super) current: bool,
}

/// The answer of `GET /settings`.
#[derive(Deserialize)]
pub(super) struct Settings {
    pub(super) audience: String,
}

impl Account {
    pub(super) fn is_operator(&self) -> bool {
        self.role.as_deref() == Some("operator")
    }
}

/// The answer of `GET /second-factor`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecondFactor {
    pub(super) totp: bool,
    pub(super) passkeys: Vec<Passkey>,
    pub(super) recovery_codes: usize,
}

/// A passkey of the visitor.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Passkey {
    pub(super) handle: String,
    pub(super) name: String,
    since: u64,
    last_used: Option<u64>,
}

/// The secret of an authenticator app.
#[derive(Deserialize)]
pub(super) struct NewTotp {
    pub(super) secret: String,
    pub(super) uri: String,
}

/// Recovery codes that were made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecoveryCodes {
    pub(super) recovery_codes: Vec<String>,
}

impl SecondFactor {
    pub(super) fn is_on(&self) -> bool {
        self.totp || !self.passkeys.is_empty()
    }
}

impl Passkey {
    pub(super) fn since(&self) -> Moment {
        Moment(self.since)
    }

    pub(super) fn last_used(&self) -> Moment {
        Moment(self.last_used.unwrap_or(self.since))
    }
}

impl Place {
    pub(super) fn point(&self) -> Point {
        Point { latitude: self.latitude, longitude: self.longitude }
    }
}

impl DescribedPlace {
    /// Returns the address of the place's website, if a page may link to it.
    pub(super) fn link(&self) -> Option<String> {
        Some(self.website.as_ref()?.parse::<Website>().ok()?.href())
    }

    /// Returns the ratings, the best first.
    pub(super) fn ratings(&self) -> Vec<Rating> {
        let most = self.ratings.iter().sum::<u64>().max(1);
        let rating =
            |(stars, &count): (usize, &u64)| Rating { stars, count, percent: count * 100 / most };
        self.ratings.iter().enumerate().rev().map(rating).collect()
    }
}

impl Visit {
    pub(super) fn at(&self) -> Moment {
        Moment(self.timestamp)
    }
}

impl Checkin {
    pub(super) fn at(&self) -> Moment {
        Moment(self.timestamp)
    }

    /// Returns the name of the user, if the list has it.
    pub(super) fn person(&self) -> Option<String> {
        let (first, last) = (self.first_name.clone()?, self.last_name.clone()?);
        Some(Name { first, last }.full())
    }
}

impl ListedSession {
    pub(super) fn since(&self) -> Moment {
        Moment(self.since)
    }

    pub(super) fn last_seen(&self) -> Moment {
        Moment(self.last_seen)
    }

    /// Returns the name of the device: its browser and its system, or else how it named itself, shortened.
    pub(super) fn device(&self) -> String {
        let find = |names: &[(&str, &'static str)]| {
            names.iter().find(|(part, _)| self.device.contains(part)).map(|(_, name)| *name)
        };
        match (find(&BROWSERS), find(&SYSTEMS)) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            _ if self.device.is_empty() => "unknown device".to_owned(),
            _ => self.device.chars().take(80).collect(),
        }
    }

    pub(super) fn address(&self) -> &str {
        match self.address.as_str() {
            "" => "unknown",
            address => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_people_say() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1";
        for (device, name) in [
            (chrome, "Chrome on Linux"),
            (edge, "Edge on Windows"),
            (safari, "Safari on an iPhone"),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "unknown device"),
        ] {
            let session = serde_json::json!({
                "handle": "h", "since": 0, "lastSeen": 0, "device": device, "address": "", "current": true,
            });
            let session: ListedSession = serde_json::from_value(session).unwrap();
            assert_eq!(session.device(), name);
        }
    }
}
