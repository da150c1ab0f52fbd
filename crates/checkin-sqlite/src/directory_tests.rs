//! Lists in SQLite: the rows that processors write, and the indexes from which pages are read.

use sqlite_writer::Database;
use sqlite_writer::rusqlite::types::Null;
use sqlite_writer::rusqlite::{Connection, params, params_from_iter};

use super::list::List;
use super::{SqliteStorage, directory, nearby, search};
use checkin_domain::{Category, Coordinates, Location, LocationId};
use checkin_storage::conformance::{first, listed, location, user};
use checkin_storage::{BulkLoad, Directory, Nearby, Page, Period};

/// A Saturday, and the Monday before.
const NOW_MS: u64 = 1_609_602_085_397;
const MONDAY_MS: i64 = 1_609_113_600_000;

async fn storage(directory: &tempfile::TempDir) -> SqliteStorage {
    let database = Database::open(directory.path().join("checkin.db")).unwrap();
    SqliteStorage::open(database).await.unwrap()
}

/// Returns the query plan of SQLite.
fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let values = vec![Null; statement.parameter_count()];
    let lines = statement.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
    lines.map(Result::unwrap).collect::<Vec<String>>().join("; ")
}

#[tokio::test]
async fn pages_are_read_from_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let storage = storage(&directory).await;
    let place = LocationId::try_from(2).unwrap();
    let week = Period::WeekOf(NOW_MS);
    let lists: [(List, &str); 6] = [
        (directory::recent_users(), "user_figures USING INDEX users_by_last_checkin"),
        (directory::users_at(place), "user_figures USING INDEX users_by_place"),
        (directory::top_users(Period::AllTime), "user_figures USING INDEX users_by_checkins"),
        (directory::top_users(week), "user_weeks USING INDEX user_weeks_by_checkins"),
        (directory::top_locations(Period::AllTime), "locations USING INDEX locations_by_checkins"),
        (directory::top_locations(week), "location_weeks USING INDEX location_weeks_by_checkins"),
    ];
    let read = move |connection: &Connection| {
        let search_index =
            |name: &str| format!("SEARCH {}", name.replace("USING", "USING COVERING"));
        for (list, index) in lists {
            for sql in [list.equals(), list.below()] {
                let plan = plan(connection, &sql);
                assert!(plan.starts_with(&search_index(index)), "{sql}: {plan}");
                assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{sql}: {plan}");
            }
            // The range of equal ranks is read from the position on.
            let plan = plan(connection, &list.equals());
            assert!(plan.contains(&format!("{}=? AND {}>?", list.rank, list.id)), "{plan}");
        }
        let sql = directory::locations_in();
        let plan_of_category = plan(connection, &sql);
        let seek = "SEARCH locations USING INDEX locations_by_category (category=? AND id>?)";
        assert_eq!(plan_of_category, seek);
        for sql in [search::sql(), nearby::sql()] {
            let plan = plan(connection, &sql);
            assert!(plan.contains("SEARCH locations USING INTEGER PRIMARY KEY"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
        Ok(())
    };
    storage.file.read(read).await.unwrap();
}

/// The boxes do not know the categories.
#[tokio::test]
async fn a_page_of_a_category_checks_a_limited_number_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let storage = storage(&directory).await;
    let one = |id: u64| {
        let (category, east) =
            if id <= 1500 { (Category::Cafe, 0.0) } else { (Category::Gym, 3.0) };
        let coordinates = Coordinates::new(10.0 + east + id as f64 / 10_000.0, 50.0).unwrap();
        Location { category, coordinates, ..location(id) }
    };
    storage.load_locations(&(1..=2501).map(one).collect::<Vec<_>>()).await.unwrap();
    let center = Coordinates::new(10.0, 50.0).unwrap();
    let gyms = Nearby { center, radius_m: f64::INFINITY, category: Some(Category::Gym) };
    let page = storage.nearby(gyms, first(5)).await.unwrap();
    assert_eq!(page.locations, []);
    let page = Page { after: page.next, ..first(5) };
    let ids = storage.nearby(gyms, page).await.unwrap().locations;
    let ids: Vec<u64> = ids.iter().map(|place| place.item.id.get()).collect();
    assert_eq!(ids, [1501, 1502, 1503, 1504, 1505]);
}

#[tokio::test]
async fn leaderboards_of_a_week_leave_out_deleted_records() {
    let directory = tempfile::tempdir().unwrap();
    let storage = storage(&directory).await;
    let users: Vec<_> = (1..=3).map(|id| user(id, &format!("u{id}@example.com"))).collect();
    storage.load_users(&users).await.unwrap();
    storage.load_locations(&[1, 2, 3].map(location)).await.unwrap();
    let write = |connection: &Connection| {
        for table in ["user_weeks", "location_weeks"] {
            let sql = format!("INSERT INTO {table} VALUES (?1, ?2, ?3)");
            for (id, count) in [(1, 5), (2, 7), (99, 6), (3, 5)] {
                connection.execute(&sql, params![MONDAY_MS, id, count])?;
            }
            connection.execute(&sql, params![MONDAY_MS - 604_800_000, 3, 8])?;
        }
        Ok(())
    };
    storage.file.write(write).await.unwrap();
    for limit in [1, 2, 7] {
        for (week, expected) in [
            (Period::WeekOf(NOW_MS), &[(7, 2), (5, 1), (5, 3)][..]),
            (Period::WeekOf(NOW_MS - 604_800_000), &[(8, 3)]),
            (Period::WeekOf(0), &[]),
        ] {
            let users = async |page| storage.top_users(week, page).await;
            assert_eq!(listed(limit, users).await, expected);
            let places = async |page| storage.top_locations(week, page).await;
            assert_eq!(listed(limit, places).await, expected);
        }
    }
}
