//! Users with the same password, and the locations of the demo.

use std::time::Instant;

use anyhow::{Result, ensure};
use checkin::demo;
use checkin::domain::{Location, PasswordHash, User, UserId};
use checkin::passwords;
use checkin::storage::Loaded;

use crate::site::Site;

/// The number of users that are written at once.
const BATCH: u64 = 10_000;

pub const PASSWORD: &str = "secret123";

pub fn address(user: u64) -> String {
    format!("user{user}@example.com")
}

pub async fn load(site: &Site, users: u64) -> Result<()> {
    let (storage, started) = (site.storage().await?, Instant::now());
    let hash = passwords::hash(PASSWORD);
    for first in (1..=users).step_by(BATCH as usize) {
        let batch = first..=users.min(first + BATCH - 1);
        let batch: Vec<User> = batch.map(|id| user(id, &hash)).collect::<Result<_>>()?;
        let loaded = storage.load_users(&batch).await?;
        ensure!(loaded.iter().all(|loaded| *loaded == Loaded::Stored));
    }
    let data = demo::data(1_793_491_200_000);
    let nowhere =
        |location: &Location| Location { num_checkins: 0, num_stars: 0, ..location.clone() };
    let locations: Vec<Location> = data.locations.iter().map(nowhere).collect();
    storage.load_locations(&locations).await?;
    storage.load_details(&data.details).await?;
    println!("{users} users and {} locations stored in {:.1?}", locations.len(), started.elapsed());
    Ok(())
}

fn user(id: u64, hash: &PasswordHash) -> Result<User> {
    Ok(User {
        id: UserId::try_from(id)?,
        first_name: "Al".to_owned(),
        last_name: format!("Number {id}"),
        email: address(id).parse()?,
        password: hash.clone(),
        num_checkins: 0,
        last_checkin: None,
        last_seen_at: None,
    })
}
