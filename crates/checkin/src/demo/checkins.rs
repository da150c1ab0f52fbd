//! The check-ins of ninety days.

use std::collections::HashMap;

use super::calendar::Day;
use super::locations::neighbours;
use super::neighbourhoods::NEIGHBOURHOODS;
use super::users::AL;
use crate::domain::{
    Checkin, CheckinId, DayHours, LocationDetails, LocationId, NewCheckin, OpeningHours,
    StarRating, UserId,
};
use crate::import::UserRecord;
use crate::random::{Random, Weighted};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const PERIOD_DAYS: u64 = 90;

/// The approximate number of check-ins. Some are dropped because their user would be at two locations
/// at once.
const COUNT: usize = 20_500;

/// The maximum number of draws, for a clock near 1970, where nothing fits into the ninety days
/// before.
const MAX_DRAWS: usize = 2 * COUNT;

/// The minimum time between two check-ins of a user.
const STAY_MS: u64 = 30 * 60 * 1000;

/// The percentage of users who go out, from Monday to Sunday.
const GOING_OUT: [u64; 7] = [70, 68, 72, 76, 95, 100, 90];

pub(super) fn checkins(
    users: &[UserRecord],
    details: &[LocationDetails],
    now_ms: u64,
) -> Vec<Checkin> {
    let mut random = Random::new(3);
    let town = Town::new(users, details, &mut random);
    let mut visits: Vec<_> =
        (0..MAX_DRAWS).filter_map(|_| town.visit(now_ms, &mut random)).take(COUNT).collect();
    visits.sort_by_key(|(ms, _)| *ms);
    numbered(one_at_a_time(visits))
}

/// The time in milliseconds since 1970, and the check-in.
type TimedCheckin = (u64, NewCheckin);

/// The habits of the users, and the reputation of the locations.
struct Town<'a> {
    people: Vec<Person>,
    places: Vec<Place<'a>>,
    activity: Weighted,
    popularity: Weighted,
    /// The same popularity, among the locations of one neighbourhood.
    nearby: Vec<Weighted>,
}

struct Person {
    id: UserId,
    /// The index of the neighbourhood.
    home: usize,
}

struct Place<'a> {
    id: LocationId,
    hours: &'a OpeningHours,
    /// The quality in tenths of a star.
    quality: u64,
}

impl<'a> Town<'a> {
    fn new(users: &[UserRecord], details: &'a [LocationDetails], random: &mut Random) -> Self {
        let people =
            |user: &UserRecord| Person { id: user.id, home: random.index(NEIGHBOURHOODS.len()) };
        let people = users.iter().map(people).collect();
        let activity = ranks(users.len(), 12, random, Some(AL as usize - 1));
        let popularity = ranks(details.len(), 6, random, None);
        let places = |details: &'a LocationDetails| Place {
            id: details.id,
            hours: &details.hours,
            // The better of two draws, because bad locations close.
            quality: 20 + random.below(28).max(random.below(28)),
        };
        let nearby =
            |home| Weighted::new(neighbours(home, popularity.len()).map(|place| popularity[place]));
        Self {
            people,
            places: details.iter().map(places).collect(),
            nearby: (0..NEIGHBOURHOODS.len()).map(nearby).collect(),
            activity: Weighted::new(activity.into_iter()),
            popularity: Weighted::new(popularity.iter().copied()),
        }
    }

    /// Draws a visit. Returns `None` if the location is closed, or the time is not in the ninety
    /// days.
    fn visit(&self, now_ms: u64, random: &mut Random) -> Option<TimedCheckin> {
        let start_ms = now_ms.saturating_sub(PERIOD_DAYS * DAY_MS);
        // The local calendar is behind UTC, and the hours of the night before reach into the first
        // day.
        let day = Day((start_ms / DAY_MS).saturating_sub(1) + random.below(PERIOD_DAYS + 2));
        if !random.percent(GOING_OUT[day.weekday().index()]) {
            return None;
        }
        let person = &self.people[self.activity.pick(random)];
        let place = self.place(person, random);
        let ranges = place.hours.day(day.weekday()).map_or(&[][..], DayHours::ranges);
        let range = ranges.get(random.index(ranges.len()))?;
        let length = u64::from(range.closes_min() - range.opens_min());
        // The mean of two draws: most visits are in the middle of the opening hours.
        let minute = (random.below(length) + random.below(length)) / 2;
        let ms = day.utc_ms(u64::from(range.opens_min()) + minute) + random.below(60_000);
        let stars = stars(place.quality, random);
        (start_ms..now_ms).contains(&ms).then_some((
            ms,
            NewCheckin {
                user: person.id,
                location: place.id,
                stars,
                comment: None,
                is_private: false,
            },
        ))
    }

    /// Draws a location; in two of five cases one in the neighbourhood.
    fn place(&self, person: &Person, random: &mut Random) -> &Place<'a> {
        let position = if random.percent(40) {
            person.home + NEIGHBOURHOODS.len() * self.nearby[person.home].pick(random)
        } else {
            self.popularity.pick(random)
        };
        &self.places[position]
    }
}

/// Returns weights that fall with the rank: a few favourites and a long tail. The ranks are random,
/// except that `regular` gets one near the top.
fn ranks(count: usize, head: u64, random: &mut Random, regular: Option<usize>) -> Vec<u64> {
    const REGULAR_RANK: u64 = 40;

    let mut ranks: Vec<u64> = (0..count as u64).collect();
    random.shuffle(&mut ranks);
    if let Some(regular) = regular
        && let Some(other) = ranks.iter().position(|&rank| rank == REGULAR_RANK)
    {
        ranks.swap(regular, other);
    }
    ranks.into_iter().map(|rank| 1_000_000 / (rank + head)).collect()
}

/// Draws a rating around the quality of the location, at most one star away.
fn stars(quality: u64, random: &mut Random) -> StarRating {
    let tenths = (quality + random.below(15) + random.below(15)).saturating_sub(14);
    let stars = ((tenths + 5) / 10).min(StarRating::MAX.into());
    StarRating::try_from(stars).expect("at most the maximum")
}

fn one_at_a_time(visits: Vec<TimedCheckin>) -> impl Iterator<Item = TimedCheckin> {
    let mut last_seen = HashMap::new();
    visits.into_iter().filter(move |(ms, visit)| {
        let free = last_seen.get(&visit.user).is_none_or(|last| last + STAY_MS <= *ms);
        if free {
            last_seen.insert(visit.user, *ms);
        }
        free
    })
}

/// Gives the check-ins ids in the order of time. Check-ins of one millisecond get consecutive
/// sequence numbers.
fn numbered(visits: impl Iterator<Item = TimedCheckin>) -> Vec<Checkin> {
    let mut next = CheckinId::MIN;
    visits
        .map(|(ms, visit)| {
            let id = if ms == next.ms { next } else { CheckinId { ms, seq: 0 } };
            next = CheckinId { ms, seq: id.seq + 1 };
            visit.with_id(id)
        })
        .collect()
}
