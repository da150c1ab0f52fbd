//! Lists of users and of locations in SQLite.

use async_trait::async_trait;
use sqlite_writer::rusqlite::{self, Connection, params};

use super::list::List;
use super::{SqliteStorage, column, locations, nearby, search, users};
use checkin_domain::{
    Category, DetailsSection, Location, LocationId, OpeningHours, User, monday_ms,
};
use checkin_storage::{
    Directory, FoundLocations, Nearby, Page, Period, Ranked, Result, details, readable,
};

#[async_trait]
impl Directory for SqliteStorage {
    async fn recent_users(&self, page: Page) -> Result<Vec<Ranked<User>>> {
        self.users(recent_users(), page).await
    }

    async fn top_users(&self, period: Period, page: Page) -> Result<Vec<Ranked<User>>> {
        self.users(top_users(period), page).await
    }

    async fn users_at(&self, location: LocationId, page: Page) -> Result<Vec<Ranked<User>>> {
        self.users(users_at(location), page).await
    }

    async fn top_locations(&self, period: Period, page: Page) -> Result<Vec<Ranked<Location>>> {
        let list = top_locations(period);
        let reports = self.file.reports.clone();
        let read =
            move |connection: &Connection| list.page(connection, &reports, page, locations::by_id);
        self.file.read(read).await
    }

    async fn locations_in(&self, category: Category, page: Page) -> Result<Vec<Ranked<Location>>> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(&locations_in())?;
            let parameters = params![column::number(begin(page)), category.as_str()];
            let (table, limit, read) = ("locations", page.limit, locations::location);
            column::readable_rows(&reports, table, &mut statement, parameters, limit, read)
        };
        Ok(by_id(self.file.read(read).await?))
    }

    async fn nearby(&self, near: Nearby, page: Page) -> Result<FoundLocations> {
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| nearby::page(connection, &reports, near, page);
        self.file.read(read).await
    }

    async fn search_locations(&self, words: &str, page: Page) -> Result<FoundLocations> {
        let Some(query) = search::query(words) else {
            return Ok(FoundLocations::default());
        };
        let reports = self.file.reports.clone();
        let read = move |connection: &Connection| {
            search::page(connection, &reports, &query, begin(page), page.limit)
        };
        Ok(FoundLocations { locations: by_id(self.file.read(read).await?), next: None })
    }

    async fn hours_of(&self, ids: &[LocationId]) -> Result<Vec<Option<OpeningHours>>> {
        let (wanted, reports) = (ids.to_vec(), self.file.reports.clone());
        let read = move |connection: &Connection| {
            let text = |id: LocationId| {
                let (label, text) = (|| details_label(id), locations::details_text(connection, id));
                Ok(column::readable(&reports, label, text)?.flatten())
            };
            wanted.into_iter().map(text).collect::<rusqlite::Result<Vec<Option<String>>>>()
        };
        let texts = self.file.read(read).await?;
        let hours = ids.iter().zip(texts).map(|(id, text)| {
            let read = |text: String| details::from_json(*id, &text, &[DetailsSection::Hours]);
            let details = self.file.reports.logged(details_label(*id), text.map(read).transpose());
            Ok(readable(details)?.map(|details| details.hours))
        });
        hours.collect()
    }
}

impl SqliteStorage {
    async fn users(&self, list: List, page: Page) -> Result<Vec<Ranked<User>>> {
        let reports = self.file.reports.clone();
        let read =
            move |connection: &Connection| list.page(connection, &reports, page, users::by_id);
        self.file.read(read).await
    }
}

pub(super) fn recent_users() -> List {
    let (table, rank, condition) = ("user_figures", "last_checkin", "last_checkin IS NOT NULL");
    List { table, rank, id: "id", condition, of: None }
}

pub(super) fn users_at(location: LocationId) -> List {
    let of = Some(column::number(location.get()));
    List { condition: "last_seen_at = ?3", of, ..recent_users() }
}

pub(super) fn top_users(period: Period) -> List {
    match period {
        Period::AllTime => top("user_figures"),
        Period::WeekOf(ms) => List {
            table: "user_weeks",
            id: "user_id",
            condition: "monday_ms = ?3 AND num_checkins > 0
                        AND EXISTS (SELECT 1 FROM user_figures WHERE id = user_id)",
            of: Some(column::number(monday_ms(ms))),
            ..top("user_figures")
        },
    }
}

pub(super) fn top_locations(period: Period) -> List {
    match period {
        Period::AllTime => top("locations"),
        Period::WeekOf(ms) => List {
            table: "location_weeks",
            id: "location_id",
            condition: "monday_ms = ?3 AND num_checkins > 0
                        AND EXISTS (SELECT 1 FROM locations WHERE id = location_id)",
            of: Some(column::number(monday_ms(ms))),
            ..top("locations")
        },
    }
}

fn top(table: &'static str) -> List {
    List { table, rank: "num_checkins", id: "id", condition: "num_checkins > 0", of: None }
}

pub(super) fn locations_in() -> String {
    let columns = locations::COLUMNS;
    format!("SELECT {columns} FROM locations WHERE category = ?2 AND id > ?1 ORDER BY id")
}

fn details_label(id: LocationId) -> String {
    format!("location_details {id}")
}

/// Returns the id after which a page begins, in a list by ids.
fn begin(page: Page) -> u64 {
    page.after.map_or(0, |after| after.rank)
}

fn by_id(locations: Vec<Location>) -> Vec<Ranked<Location>> {
    locations.into_iter().map(|item| Ranked { rank: item.id.get(), item }).collect()
}
