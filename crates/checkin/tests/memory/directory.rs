//! Lists of users and of locations.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use checkin_domain::words::words;
use checkin_domain::{
    Category, DetailsSection, Location, LocationId, OpeningHours, User, monday_ms,
};
use checkin_storage::nearby::Found;
use checkin_storage::{
    Directory, FoundLocations, MAX_SEARCH_WORDS, Nearby, Page, Period, Position, Ranked, Result,
};

use crate::store::{Contents, MemoryStorage, StoredLocation};

#[async_trait]
impl Directory for MemoryStorage {
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>> {
        let contents = self.contents();
        Ok(highest(contents.users().filter_map(by_last_checkin), user_number, page))
    }

    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>> {
        let contents = self.contents();
        let count = |user: &User| match period {
            Period::AllTime => user.num_checkins,
            Period::WeekOf(ms) => in_week(&contents.user_weeks, ms, user.id),
        };
        let ranked = contents.users().map(|user| (count(user), user));
        Ok(highest(ranked.filter(|(count, _)| *count > 0), user_number, page))
    }

    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>> {
        let contents = self.contents();
        let users = contents.users().filter(|user| user.last_seen_at == Some(location));
        Ok(highest(users.filter_map(by_last_checkin), user_number, page))
    }

    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>> {
        let contents = self.contents();
        let count = |place: &Location| match period {
            Period::AllTime => place.num_checkins,
            Period::WeekOf(ms) => in_week(&contents.place_weeks, ms, place.id),
        };
        let places = contents.places.values().map(|stored| &stored.place);
        let ranked = places.map(|place| (count(place), place));
        Ok(highest(ranked.filter(|(count, _)| *count > 0), |place| place.id.get(), page))
    }

    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>> {
        Ok(self.contents().locations_by_id(page, |stored| stored.place.category == category))
    }

    async fn nearby(&self, near: Nearby, page: Page) -> Result<FoundLocations> {
        let mut found = Found::new(near, page);
        self.contents().places.values().for_each(|stored| found.add(stored.place.clone()));
        Ok(found.into_page())
    }

    async fn search_locations(&self, text: &str, page: Page) -> Result<FoundLocations> {
        let mut wanted = words(text);
        wanted.truncate(MAX_SEARCH_WORDS);
        let has = |stored: &StoredLocation, wanted: &String| {
            stored.words.iter().any(|word| word.starts_with(wanted))
        };
        let locations = self.contents().locations_by_id(page, |stored| {
            !wanted.is_empty() && wanted.iter().all(|wanted| has(stored, wanted))
        });
        Ok(FoundLocations { locations, next: None })
    }

    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>> {
        let contents = self.contents();
        let details = ids.iter().map(|id| contents.details_of(*id, &[DetailsSection::Hours]));
        details.map(|details| Ok(details?.map(|details| details.hours))).collect()
    }
}

impl Contents {
    fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values().map(|stored| &stored.user)
    }

    fn locations_by_id(
        &self,
        page: Page,
        is_wanted: impl Fn(&StoredLocation) -> bool,
    ) -> Vec<Ranked<Location>> {
        let is_behind = |place: &Location| page.after.is_none_or(|at| place.id.get() > at.rank);
        let wanted = self.places.values().filter(|stored| is_wanted(stored));
        let behind = wanted.map(|stored| &stored.place).filter(|place| is_behind(place));
        let page = behind.take(page.limit);
        page.map(|place| Ranked { rank: place.id.get(), item: place.clone() }).collect()
    }
}

fn user_number(user: &User) -> u64 {
    user.id.get()
}

fn by_last_checkin(user: &User) -> Option<(u64, &User)> {
    Some((user.last_checkin?, user))
}

fn in_week<K: Ord>(weeks: &BTreeMap<(u64, K), u64>, ms: u64, id: K) -> u64 {
    weeks.get(&(monday_ms(ms), id)).copied().unwrap_or(0)
}

/// A page of a list, the highest rank first and, among equals, the lowest id.
fn highest<'a, T: Clone + 'a>(
    list: impl Iterator<Item = (u64, &'a T)>,
    id: impl Fn(&T) -> u64,
    page: Page,
) -> Vec<Ranked<T>> {
    let key = |rank, id| (Reverse(rank), id);
    let is_behind = |rank, item| {
        page.after.is_none_or(|Position { rank: last, id: of }| key(rank, id(item)) > key(last, of))
    };
    let mut list: Vec<(u64, &T)> = list.filter(|(rank, item)| is_behind(*rank, *item)).collect();
    list.sort_unstable_by_key(|(rank, item)| key(*rank, id(item)));
    let page = list.into_iter().take(page.limit);
    page.map(|(rank, item)| Ranked { rank, item: item.clone() }).collect()
}
