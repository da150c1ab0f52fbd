//! What the services answer, as far as the pages show it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::time::Moment;
use crate::domain::Website;

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
    pub(super) user_id: u64,
    pub(super) location_id: u64,
    pub(super) star_rating: u8,
    timestamp: u64,
    pub(super) comment: Option<String>,
}

/// A user in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Person {
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) num_checkins: Option<u64>,
}

/// The name of a user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullName {
    pub(super) full_name: String,
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
}

impl ListedSession {
    pub(super) fn since(&self) -> Moment {
        Moment(self.since)
    }

    pub(super) fn last_seen(&self) -> Moment {
        Moment(self.last_seen)
    }

    /// Returns the device as it named itself, shortened.
    pub(super) fn device(&self) -> String {
        match self.device.as_str() {
            "" => "unknown device".to_owned(),
            device => device.chars().take(80).collect(),
        }
    }

    pub(super) fn address(&self) -> &str {
        match self.address.as_str() {
            "" => "unknown",
            address => address,
        }
    }
}
