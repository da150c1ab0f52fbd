//! The bodies of responses. Each lists the fields that may be shown, never those that may not.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    Category, Checkin, DetailsSection, Location, LocationDetails, LocationId, OpeningHours, Social,
    Statistics, User, UserId, Website, Weekday,
};
use crate::usecases::locations::DescribedLocation;
use crate::usecases::named_checkins::NamedCheckin;
use crate::usecases::whereabouts::Hidden;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserView {
    #[schema(minimum = 1)]
    id: u64,
    first_name: String,
    last_name: String,
    /// Shown only to the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The number of check-ins. Null if the user does not show it.
    num_checkins: Option<u64>,
    /// The time of the last check-in, in milliseconds since 1970. Null if there is none, or if the user
    /// does not show it.
    last_checkin: Option<u64>,
    /// The id of the location of the last check-in. Null in the same cases.
    last_seen_at: Option<u64>,
}

impl UserView {
    /// Returns a user as this reader may see the user.
    pub(super) fn of(user: User, reader: UserId) -> Self {
        Self {
            id: user.id.get(),
            email: (user.id == reader).then(|| user.email.to_string()),
            first_name: user.first_name,
            last_name: user.last_name,
            num_checkins: Some(user.num_checkins),
            last_checkin: user.last_checkin,
            last_seen_at: user.last_seen_at.map(LocationId::get),
        }
    }

    /// Leaves out where, when and how often the user checks in, if the user hides it.
    pub(super) fn without(self, hidden: &Hidden) -> Self {
        match UserId::try_from(self.id).is_ok_and(|id| hidden.has(id)) {
            true => Self { num_checkins: None, last_checkin: None, last_seen_at: None, ..self },
            false => self,
        }
    }
}

/// The name of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FullName {
    /// The first and the last name.
    pub(super) full_name: String,
}

/// A location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Location)]
pub(super) struct LocationView {
    #[schema(minimum = 1)]
    id: u64,
    name: String,
    #[schema(example = "cafe")]
    category: &'static str,
    /// Longitude and latitude.
    #[schema(example = "-122.2711,37.8044")]
    location: String,
    #[schema(minimum = -180, maximum = 180)]
    longitude: f64,
    #[schema(minimum = -90, maximum = 90)]
    latitude: f64,
    num_checkins: u64,
    /// The sum of the stars of all check-ins.
    num_stars: u64,
    /// The mean of the stars, to one decimal; 0 before the first check-in.
    average_stars: f64,
}

impl From<Location> for LocationView {
    fn from(location: Location) -> Self {
        Self {
            id: location.id.get(),
            category: location.category.as_str(),
            location: location.coordinates.to_string(),
            longitude: location.coordinates.longitude(),
            latitude: location.coordinates.latitude(),
            num_checkins: location.num_checkins,
            num_stars: location.num_stars,
            average_stars: location.average_stars(),
            name: location.name,
        }
    }
}

/// A location, with the number of check-ins for each number of stars.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RatedLocation {
    #[serde(flatten)]
    location: LocationView,
    /// The numbers of check-ins with no star, one star, and so on to five.
    ratings: [u64; 6],
    /// Only with `withDetails=true`.
    #[serde(flatten)]
    details: DetailsView,
}

impl RatedLocation {
    /// Returns a location with these sections of its details.
    pub(super) fn new(place: DescribedLocation, sections: &[DetailsSection]) -> Self {
        let DescribedLocation { location, ratings, details } = place;
        let details = DetailsView::of(details, sections);
        Self { location: location.into(), ratings, details }
    }
}

/// A location near a point.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NearbyLocation {
    #[serde(flatten)]
    location: LocationView,
    /// The distance from the point, in miles.
    distance: f64,
}

impl NearbyLocation {
    pub(super) fn new(location: Location, distance_mm: u64) -> Self {
        let miles = distance_mm as f64 / (METRES_PER_MILE * 1000.0);
        // A hundred-thousandth of a mile is less than an inch.
        Self { location: location.into(), distance: (miles * 1e5).round() / 1e5 }
    }
}

/// The length of the international mile in metres.
pub(super) const METRES_PER_MILE: f64 = 1609.344;

/// The details of a location: the sections that were asked for, with `null` for those that are not
/// known.
// The outer `Option` says whether a section was asked for, the inner one whether it is known.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Details)]
pub(super) struct DetailsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    website: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    /// Objects with the name of a network and the location's name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    socials: Option<Vec<BTreeMap<String, String>>>,
    /// The opening hours from Monday on, in the local time of the location, without the days whose
    /// hours are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<Vec<DayView>>,
}

impl DetailsView {
    /// Returns these sections of the details. They are `null` if the location has no details.
    pub(super) fn of(details: Option<LocationDetails>, sections: &[DetailsSection]) -> Self {
        let wanted = |section| sections.contains(&section);
        let details = details.as_ref();
        let text = |text: &str| text.to_owned();
        Self {
            description: wanted(DetailsSection::Description)
                .then(|| Some(text(&details?.description))),
            website: wanted(DetailsSection::Website)
                .then(|| details?.website.as_ref().map(Website::as_str).map(text)),
            phone: wanted(DetailsSection::Phone).then(|| details?.phone.clone()),
            socials: wanted(DetailsSection::Socials)
                .then(|| details.map(|details| socials(&details.socials)).unwrap_or_default()),
            hours: wanted(DetailsSection::Hours)
                .then(|| details.map(|details| week(&details.hours)).unwrap_or_default()),
        }
    }
}

fn socials(socials: &[Social]) -> Vec<BTreeMap<String, String>> {
    let object =
        |social: &Social| BTreeMap::from([(social.network.clone(), social.handle.clone())]);
    socials.iter().map(object).collect()
}

fn week(hours: &OpeningHours) -> Vec<DayView> {
    Weekday::ALL.into_iter().filter_map(|day| DayView::of(hours, day)).collect()
}

/// Returns the name of a section in requests and responses.
pub(super) fn section_name(section: DetailsSection) -> &'static str {
    match section {
        DetailsSection::Description => "description",
        DetailsSection::Website => "website",
        DetailsSection::Phone => "phone",
        DetailsSection::Socials => "socials",
        DetailsSection::Hours => "hours",
    }
}

/// The opening hours of a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayHours)]
pub(super) struct DayView {
    #[schema(example = "Monday")]
    day: &'static str,
    /// `closed`, or ranges on the 24-hour clock, separated by commas. A range may end on the next
    /// day.
    #[schema(example = "11:30-14,17:30-22")]
    hours: String,
}

impl DayView {
    /// Returns `None` if the hours of that day are not known.
    pub(super) fn of(hours: &OpeningHours, day: Weekday) -> Option<Self> {
        Some(Self { day: day.as_str(), hours: hours.day(day)?.to_string() })
    }
}

/// A check-in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Checkin)]
pub(super) struct CheckinView {
    /// Its position in the log.
    #[schema(example = "1609602085397-0")]
    id: String,
    #[schema(minimum = 1)]
    user_id: u64,
    /// The first name of the user. Absent in a history, which has one user, if the user does not exist, and if the
    /// name cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    /// The last name of the user. Absent together with the first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[schema(minimum = 1)]
    location_id: u64,
    #[schema(minimum = 0, maximum = 5)]
    star_rating: u8,
    /// The time of the check-in, in milliseconds since 1970.
    timestamp: u64,
    /// What the user wrote about it. Absent if there is no comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// True if only the user sees it. Absent otherwise.
    #[serde(rename = "private", skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    is_private: bool,
}

impl From<Checkin> for CheckinView {
    fn from(checkin: Checkin) -> Self {
        Self {
            id: checkin.id.to_string(),
            user_id: checkin.user.get(),
            first_name: None,
            last_name: None,
            location_id: checkin.location.get(),
            star_rating: checkin.stars.get(),
            timestamp: checkin.time_ms,
            comment: checkin.comment.map(|comment| comment.to_string()),
            is_private: checkin.is_private,
        }
    }
}

impl From<NamedCheckin> for CheckinView {
    fn from(NamedCheckin { checkin, name }: NamedCheckin) -> Self {
        let (first_name, last_name) = name.map(|name| (name.first, name.last)).unzip();
        Self { first_name, last_name, ..checkin.into() }
    }
}

/// Returns a check-in as the data of an event.
pub(super) fn event_data(checkin: &NamedCheckin) -> String {
    // A few numbers and texts can always be serialized.
    serde_json::to_string(&CheckinView::from(checkin.clone())).unwrap_or_default()
}

/// A visitor of a location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Visit)]
pub(super) struct VisitView {
    #[schema(minimum = 1)]
    user_id: u64,
    first_name: String,
    last_name: String,
    /// The time of the check-in, in milliseconds since 1970.
    timestamp: u64,
    #[schema(minimum = 0, maximum = 5)]
    star_rating: u8,
    /// What the user wrote about the check-in. Absent if there is no comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

impl VisitView {
    /// Returns `None` if the user does not exist.
    pub(super) fn of(NamedCheckin { checkin, name }: NamedCheckin) -> Option<Self> {
        let name = name?;
        Some(Self {
            user_id: checkin.user.get(),
            first_name: name.first,
            last_name: name.last,
            timestamp: checkin.time_ms,
            star_rating: checkin.stars.get(),
            comment: checkin.comment.map(|comment| comment.to_string()),
        })
    }
}

/// The statistics of a user's latest 100,000 check-ins.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Statistics)]
pub(super) struct StatisticsView {
    /// The number of these check-ins.
    num_checkins: u64,
    /// The number of days in a row with a check-in (UTC), up to today or yesterday.
    current_streak: u64,
    /// The largest number of days in a row.
    longest_streak: u64,
    /// The number of check-ins in each category.
    categories: BTreeMap<&'static str, u64>,
    /// The number of different locations.
    num_locations: u64,
    /// The time of the first of these check-ins, in milliseconds since 1970.
    first_checkin: Option<u64>,
    last_checkin: Option<u64>,
    /// The mean of the stars, to one decimal.
    average_stars: Option<f64>,
    /// The number of check-ins on each of the last 371 days (UTC) with any: `{"2026-11-28":2}`.
    days: BTreeMap<String, u64>,
}

impl From<Statistics> for StatisticsView {
    fn from(statistics: Statistics) -> Self {
        let named = |(category, count): (Category, u64)| (category.as_str(), count);
        Self {
            num_checkins: statistics.num_checkins,
            current_streak: statistics.current_streak,
            longest_streak: statistics.longest_streak,
            categories: statistics.categories.into_iter().map(named).collect(),
            num_locations: statistics.num_locations,
            first_checkin: statistics.first_checkin,
            last_checkin: statistics.last_checkin,
            average_stars: statistics.average_stars,
            days: statistics.recent_days.into_iter().map(dated).collect(),
        }
    }
}

/// Writes a day, which is counted from 1970, as a date.
fn dated((day, count): (u64, u64)) -> (String, u64) {
    let since = i32::try_from(day).unwrap_or(i32::MAX).days();
    let date = Date::constant(1970, 1, 1).saturating_add(since);
    (date.to_string(), count)
}
