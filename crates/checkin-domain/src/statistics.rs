//! Statistics of a user's check-ins.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkin::Checkin;
use crate::id::LocationId;
use crate::location::{Category, average_stars};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The number of days whose check-ins are counted one by one: 53 weeks, as a calendar of a year shows them.
const RECENT_DAYS: u64 = 53 * 7;

/// Computes statistics from check-ins, each with the category of its location, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatisticsSum {
    num_checkins: u64,
    num_stars: u64,
    categories: BTreeMap<Category, u64>,
    locations: BTreeSet<LocationId>,
    /// The check-ins of each day with any. Days are counted from 1970 (UTC).
    days: BTreeMap<u64, u64>,
    first_checkin: Option<u64>,
    last_checkin: Option<u64>,
}

/// The result of a [`StatisticsSum`].
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    pub num_checkins: u64,
    /// The number of consecutive days (UTC) with a check-in, up to today or yesterday.
    pub current_streak: u64,
    /// The maximum number of consecutive days.
    pub longest_streak: u64,
    /// Check-ins by the category of their location; categories without any are left out.
    pub categories: BTreeMap<Category, u64>,
    /// The number of different locations.
    pub num_locations: u64,
    /// Milliseconds since 1970, as in the next field.
    pub first_checkin: Option<u64>,
    pub last_checkin: Option<u64>,
    /// The average of the given stars, to one decimal; `None` before the first check-in.
    pub average_stars: Option<f64>,
    /// The check-ins of each of the last 371 days with any, by the day counted from 1970 (UTC).
    pub recent_days: BTreeMap<u64, u64>,
}

impl Extend<(Checkin, Option<Category>)> for StatisticsSum {
    fn extend<T: IntoIterator<Item = (Checkin, Option<Category>)>>(&mut self, checkins: T) {
        for (checkin, category) in checkins {
            self.add(&checkin, category);
        }
    }
}

impl StatisticsSum {
    fn add(&mut self, checkin: &Checkin, category: Option<Category>) {
        let time = checkin.time_ms;
        self.num_checkins += 1;
        self.num_stars += u64::from(checkin.stars.get());
        if let Some(category) = category {
            *self.categories.entry(category).or_default() += 1;
        }
        self.locations.insert(checkin.location);
        *self.days.entry(time / DAY_MS).or_default() += 1;
        self.first_checkin = Some(self.first_checkin.map_or(time, |first| first.min(time)));
        self.last_checkin = self.last_checkin.max(Some(time));
    }

    /// Returns the statistics at this time (milliseconds since 1970).
    pub fn statistics(mut self, now_ms: u64) -> Statistics {
        let today = now_ms / DAY_MS;
        let (current_streak, longest_streak) = streaks(self.days.keys(), today);
        let recent_days = self.days.split_off(&(today + 1).saturating_sub(RECENT_DAYS));
        let average = average_stars(self.num_stars, self.num_checkins);
        Statistics {
            num_checkins: self.num_checkins,
            current_streak,
            longest_streak,
            categories: self.categories,
            num_locations: self.locations.len() as u64,
            first_checkin: self.first_checkin,
            last_checkin: self.last_checkin,
            average_stars: (self.num_checkins > 0).then_some(average),
            recent_days,
        }
    }
}

/// Returns the consecutive days up to yesterday or today, which is not over yet; and the maximum.
fn streaks<'a>(days: impl Iterator<Item = &'a u64>, today: u64) -> (u64, u64) {
    let (mut current, mut longest, mut run, mut before) = (0, 0, 0, None);
    for &day in days {
        run = if before == Some(day.wrapping_sub(1)) { run + 1 } else { 1 };
        longest = longest.max(run);
        if day == today || day + 1 == today {
            current = run;
        }
        before = Some(day);
    }
    (current, longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkin::{CheckinId, NewCheckin, StarRating};
    use crate::id::UserId;

    fn checkin(day: u64, location: u64, stars: u64) -> Checkin {
        let new = NewCheckin {
            user: UserId::try_from(7).unwrap(),
            location: LocationId::try_from(location).unwrap(),
            stars: StarRating::try_from(stars).unwrap(),
            comment: None,
            is_private: false,
        };
        new.with_id(CheckinId { ms: day * DAY_MS + 5, seq: 0 })
    }

    fn of(checkins: &[Checkin], today: u64) -> Statistics {
        let mut tally = StatisticsSum::default();
        tally.extend(checkins.iter().map(|checkin| (checkin.clone(), Some(Category::Bar))));
        tally.statistics(today * DAY_MS)
    }

    #[test]
    fn statistics_without_check_ins_are_empty() {
        let none = of(&[], 20_000);
        assert_eq!((none.num_checkins, none.average_stars), (0, None));
        assert_eq!((none.first_checkin, none.last_checkin), (None, None));
        assert_eq!((none.current_streak, none.longest_streak), (0, 0));
    }

    #[test]
    fn streaks_are_consecutive_days() {
        for (days, today, streaks) in [
            (vec![10], 10, (1, 1)),
            (vec![10], 11, (1, 1)),
            (vec![10], 12, (0, 1)),
            (vec![12, 10, 11, 11], 12, (3, 3)),
            (vec![1, 2, 3, 7, 8], 9, (2, 3)),
            (vec![1, 2, 3, 7], 7, (1, 3)),
            (vec![0], 0, (1, 1)),
            // The clock is behind.
            (vec![10, 11], 5, (0, 2)),
        ] {
            let checkins: Vec<Checkin> = days.iter().map(|&day| checkin(day, 1, 3)).collect();
            let found = of(&checkins, today);
            assert_eq!((found.current_streak, found.longest_streak), streaks, "{days:?} {today}");
        }
    }

    #[test]
    fn days_of_the_last_year_are_counted() {
        let days = [1000, 1000, 999, 630, 629];
        let checkins: Vec<Checkin> = days.iter().map(|&day| checkin(day, 1, 3)).collect();
        let found = of(&checkins, 1000);
        assert_eq!(found.recent_days, BTreeMap::from([(630, 1), (999, 1), (1000, 2)]));
        assert_eq!(of(&checkins, 5).recent_days.len(), 4);
    }

    #[test]
    fn all_check_ins_are_added_up() {
        let mut tally = StatisticsSum::default();
        tally.extend([
            (checkin(3, 1, 5), Some(Category::Cafe)),
            (checkin(2, 2, 4), Some(Category::Bar)),
            (checkin(9, 1, 4), Some(Category::Cafe)),
            (checkin(4, 3, 0), None),
        ]);
        let found = tally.statistics(0);
        let categories = BTreeMap::from([(Category::Cafe, 2), (Category::Bar, 1)]);
        assert_eq!((found.num_checkins, found.num_locations), (4, 3));
        assert_eq!(found.categories, categories);
        assert_eq!(found.first_checkin, Some(2 * DAY_MS + 5));
        assert_eq!(found.last_checkin, Some(9 * DAY_MS + 5));
        assert_eq!(found.average_stars, Some(3.3));
    }
}
