//! Tests of what must hold for the demo data.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use checkin_sqlite::SqliteStorage;
use sqlite_writer::Database;

use super::neighbourhoods::NEIGHBOURHOODS;
use super::users::AL;
use super::*;
use crate::domain::text::{MAX_NAME_CHARS, check_line, check_prose};
use crate::domain::{Category, DetailsSection, PasswordHash, User, Weekday};
use crate::import::{Importer, Password};
use crate::storage::{Loaded, Storage};

/// 2026-09-01 00:00 UTC: all ninety days before are in summer time.
const NOW_MS: u64 = 1_788_220_800_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn hash(now_ms: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    // The debug form contains everything except the passwords, which are all the same.
    format!("{:?}", data(now_ms)).hash(&mut hasher);
    hasher.finish()
}

#[test]
fn the_same_moment_gives_the_same_data() {
    assert_eq!(hash(NOW_MS), hash(NOW_MS));
    assert_ne!(hash(NOW_MS), hash(NOW_MS + DAY_MS));
    let (today, tomorrow) = (data(NOW_MS), data(NOW_MS + DAY_MS));
    assert_eq!(today.details, tomorrow.details);
}

#[test]
fn sizes_are_as_documented() {
    let data = data(NOW_MS);
    assert_eq!((data.users.len(), data.locations.len(), data.details.len()), (1000, 220, 220));
    assert!((19_000..=21_000).contains(&data.checkins.len()), "{}", data.checkins.len());
    for (position, user) in data.users.iter().enumerate() {
        assert_eq!(user.id.get(), position as u64 + 1);
        assert_eq!(user.password, Password::Plain(PASSWORD.into()));
    }
    for (position, (location, details)) in data.locations.iter().zip(&data.details).enumerate() {
        assert_eq!((location.id.get(), details.id), (position as u64 + 1, location.id));
    }
}

#[test]
fn figures_are_the_sums_over_the_checkins() {
    let data = data(NOW_MS);
    let mut users = HashMap::new();
    let mut locations = HashMap::new();
    for checkin in &data.checkins {
        let (count, last) = users.entry(checkin.user).or_insert((0, None));
        (*count, *last) = (*count + 1, Some(checkin));
        let (count, stars) = locations.entry(checkin.location).or_insert((0, 0));
        (*count, *stars) = (*count + 1, *stars + u64::from(checkin.stars.get()));
    }
    for user in &data.users {
        let (count, last) = users.get(&user.id).copied().unwrap_or_default();
        assert_eq!(user.num_checkins, count);
        assert_eq!(user.last_checkin, last.map(|checkin| checkin.id.ms));
        assert_eq!(user.last_seen_at, last.map(|checkin| checkin.location));
    }
    for location in &data.locations {
        let (count, stars) = locations.get(&location.id).copied().unwrap_or_default();
        assert_eq!((location.num_checkins, location.num_stars), (count, stars));
    }
}

#[test]
fn checkins_are_in_order_within_ninety_days_and_opening_hours() {
    let data = data(NOW_MS);
    assert!(data.checkins.windows(2).all(|pair| pair[0].id < pair[1].id));
    for checkin in &data.checkins {
        assert!((NOW_MS - 90 * DAY_MS..NOW_MS).contains(&checkin.id.ms));
        let local_min = checkin.id.ms / 60_000 - 7 * 60;
        let weekday = calendar::Day(local_min / 1440).weekday();
        let details = &data.details[checkin.location.get() as usize - 1];
        assert!(details.hours.is_open(weekday, (local_min % 1440) as u16), "{checkin:?}");
    }
}

#[test]
fn al_checks_in_often_and_popularity_has_a_long_tail() {
    let data = data(NOW_MS);
    let al = &data.users[AL as usize - 1];
    assert_eq!((al.first_name.as_str(), al.last_name.as_str()), ("Al", "Appelhof"));
    assert_eq!(al.email.as_str(), LOGIN);
    assert!(al.num_checkins >= 20, "{}", al.num_checkins);
    let mut counts: Vec<_> = data.locations.iter().map(|place| place.num_checkins).collect();
    counts.sort_unstable();
    assert!(counts[0] > 0 && counts[219] > 10 * counts[110], "{counts:?}");
    let averages: HashSet<_> =
        data.locations.iter().map(|place| (place.average_stars() * 10.0) as u64).collect();
    assert!(averages.len() > 12, "{averages:?}");
}

#[test]
fn addresses_are_unique_reserved_and_of_every_kind() {
    let data = data(NOW_MS);
    let addresses: HashSet<_> = data.users.iter().map(|user| user.email.canonical()).collect();
    assert_eq!(addresses.len(), data.users.len());
    for address in &addresses {
        let (_, domain) = address.split_once('@').unwrap();
        assert!(["example.com", "example.org", "example.net"].contains(&domain), "{address}");
    }
    let count = |kind: fn(char) -> bool| addresses.iter().filter(|a| a.contains(kind)).count();
    for kind in [|c| c == '+', |c| c == '-', |c| c == '\'', |c: char| !c.is_ascii()] {
        assert!((3..150).contains(&count(kind)), "{}", count(kind));
    }
}

#[test]
fn every_name_is_fit_to_be_shown_and_has_an_ascii_form() {
    for names in names::LANGUAGES {
        for name in names.first.split_whitespace().chain(names.last.split_whitespace()) {
            let (_, ascii) = name.split_once('=').unwrap_or((name, name));
            let ascii = ascii.replace('ʻ', "");
            let fit = |c: char| c.is_ascii_alphabetic() || matches!(c, '\'' | '-' | '_');
            assert!(ascii.chars().all(fit), "{name}");
        }
    }
    for user in data(NOW_MS).users {
        check_line(&user.first_name, MAX_NAME_CHARS).unwrap();
        check_line(&user.last_name, MAX_NAME_CHARS).unwrap();
    }
}

#[test]
fn locations_differ_in_name_website_and_phone() {
    let data = data(NOW_MS);
    let names: HashSet<_> = data.locations.iter().map(|place| &place.name).collect();
    let websites: HashSet<_> =
        data.details.iter().map(|details| details.website.as_ref().unwrap().as_str()).collect();
    let phones: HashSet<_> =
        data.details.iter().map(|details| details.phone.as_ref().unwrap()).collect();
    assert_eq!((names.len(), websites.len(), phones.len()), (220, 220, 220));
    for website in websites {
        let slug = website.strip_prefix("https://").unwrap().strip_suffix(".example.com").unwrap();
        let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        assert!(slug.bytes().all(fit) && !slug.starts_with('-') && !slug.ends_with('-'), "{slug}");
    }
    for phone in phones {
        let (_, number) = phone.split_once(") ").unwrap();
        assert!(number.starts_with("555-01") && number.len() == 8, "{phone}");
    }
    for details in &data.details {
        check_prose(&details.description, 300).unwrap();
    }
}

#[test]
fn locations_are_near_the_bay_and_of_every_category() {
    let data = data(NOW_MS);
    for (place, neighbourhood) in data.locations.iter().zip(NEIGHBOURHOODS.iter().cycle()) {
        let point = place.coordinates;
        assert!((point.latitude() - neighbourhood.latitude).abs() < 0.0041);
        assert!((point.longitude() - neighbourhood.longitude).abs() < 0.0041);
        assert!((37.4..38.0).contains(&point.latitude()), "{point}");
        assert!((-122.6..-122.1).contains(&point.longitude()), "{point}");
    }
    for category in Category::ALL {
        let count = data.locations.iter().filter(|place| place.category == category).count();
        assert!((14..=65).contains(&count), "{category}: {count}");
    }
    let has = |test: fn(&crate::domain::LocationDetails) -> bool| data.details.iter().any(test);
    assert!(has(|details| details.hours.day(Weekday::Monday).unwrap().ranges().is_empty()));
    assert!(has(|details| details.hours.day(Weekday::Tuesday).unwrap().ranges().len() == 2));
    assert!(has(|details| details.hours.is_open(Weekday::Sunday, 60)));
}

#[test]
fn data_are_valid_for_any_clock() {
    for now_ms in [0, 1, DAY_MS, 1_709_200_000_000, crate::domain::MAX_SAFE_INTEGER] {
        let data = data(now_ms);
        assert!(data.checkins.iter().all(|checkin| checkin.id.ms < now_ms.max(1)));
    }
}

/// Loads everything twice, and reads it after each load.
async fn fits(storage: impl Storage) {
    let data = data(NOW_MS);
    let password = PasswordHash::parse(format!("$2b$05${}", "a".repeat(53))).unwrap();
    let users = data.users.into_iter().map(|user| user.with_password(password.clone()));
    let users: Vec<User> = users.collect();
    let count = users.len() + data.locations.len() + data.details.len() + data.checkins.len();
    for wanted in [Loaded::Stored, Loaded::Unchanged] {
        let mut answers = storage.load_users(&users).await.unwrap();
        answers.extend(storage.load_locations(&data.locations).await.unwrap());
        answers.extend(storage.load_details(&data.details).await.unwrap());
        answers.extend(storage.load_checkins(&data.checkins).await.unwrap());
        assert_eq!(answers, vec![wanted; count]);

        assert_eq!(storage.users_after(None, usize::MAX).await.unwrap(), users);
        let log = storage.checkins_between(0..=u64::MAX, None, usize::MAX).await.unwrap();
        assert_eq!(log, data.checkins);
        for (location, details) in data.locations.iter().zip(&data.details) {
            assert_eq!(storage.location(location.id).await.unwrap().as_ref(), Some(location));
            let found = storage.location_details(details.id, &DetailsSection::ALL).await.unwrap();
            assert_eq!(found.as_ref(), Some(details));
        }
    }
}

#[tokio::test]
async fn sqlite_stores_the_demo_data() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("checkin.db")).unwrap();
    fits(SqliteStorage::open(database).await.unwrap()).await;
}

#[cfg(feature = "external-tests")]
#[tokio::test]
async fn redis_stores_the_demo_data() {
    let server = testkit::RedisServer::start();
    // This test checks what is stored, not the speed of a busy machine.
    let timeouts = redis_link::Timeouts { connect: testkit::PATIENCE, response: testkit::PATIENCE };
    let client = redis_link::Client::with_timeouts(&server.url(), timeouts).unwrap();
    fits(checkin_redis::RedisStorage::new(client, "demo", 2)).await;
}

/// The details that a backend stores can be imported.
#[test]
fn stored_details_can_be_imported() {
    for details in data(NOW_MS).details {
        let text = checkin_storage::details::to_json(&details);
        let read = checkin_storage::details::from_json(details.id, &text, &DetailsSection::ALL);
        assert_eq!(read.unwrap(), details);
        let mut importer = Importer::new(u64::MAX);
        importer.add_file("details.json", &format!(r#"{{"locationDetails":[{text}]}}"#));
        let (import, errors) = importer.finish();
        assert_eq!((import.details, errors), (vec![details], vec![]));
    }
}
