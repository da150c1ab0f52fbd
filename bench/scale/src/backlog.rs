//! A log of which nothing is counted, and how it becomes less.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use checkin::domain::{CheckinId, LocationId, NewCheckin, StarRating, UserId};

use crate::site::Site;

/// Entries that are written in one go.
const BATCH: u64 = 5_000;
const LOCATIONS: u64 = 220;

/// Parts of the run whose rates are told one by one.
const PARTS: u64 = 10;

/// The entries are spread over all users and places, in the last minutes.
pub async fn fill(site: &Site, users: u64, entries: u64) -> Result<()> {
    let (bulk, started) = (site.bulk().await?, Instant::now());
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
    for first in (0..entries).step_by(BATCH as usize) {
        let batch = first..entries.min(first + BATCH);
        let checkin = |number: u64| {
            // Neither in step with each other.
            let checkin = NewCheckin {
                user: UserId::try_from(number * 7_919 % users + 1)?,
                location: LocationId::try_from(number * 104_729 % LOCATIONS + 1)?,
                stars: StarRating::try_from(number % 6)?,
            };
            let ms = now - (entries - number) / 2;
            Ok(checkin.with_id(CheckinId { ms, seq: number }))
        };
        let batch = batch.map(checkin).collect::<Result<Vec<_>>>()?;
        bulk.load_checkins(&batch).await?;
    }
    println!("{entries} entries of the log written in {:.1?}", started.elapsed());
    Ok(())
}

/// Starts `checkin processor`, and watches.
pub async fn count(site: &Site, entries: u64) -> Result<()> {
    let consumer = site.consumer().await?;
    ensure!(consumer.backlog().await? == entries);
    let mut processor = site.run("processor", &[]);
    let (mut rates, mut left, mut since) = (Vec::new(), entries, Instant::now());
    let started = since;
    while left > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = consumer.backlog().await?;
        if left - now >= entries / PARTS || now == 0 {
            rates.push((left - now) as f64 / since.elapsed().as_secs_f64());
            (left, since) = (now, Instant::now());
        }
    }
    let rate = entries as f64 / started.elapsed().as_secs_f64();
    let parts: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!("checkin processor: {rate:.0} entries a second; in parts {}", parts.join(" "));
    processor.stop();
    let started = Instant::now();
    let audit = consumer.audit().await?;
    ensure!(audit.different == 0 && audit.counted == entries, "{audit:?}");
    println!("a recount agrees after {:.1?}: {} counted", started.elapsed(), audit.counted);
    Ok(())
}
