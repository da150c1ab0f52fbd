//! Writes a log of uncounted check-ins, and measures how fast it is counted.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use checkin::domain::{CheckinId, LocationId, NewCheckin, StarRating, UserId};

use crate::process;
use crate::site::Site;

/// The number of entries that are written at once.
const BATCH: u64 = 5_000;
const LOCATIONS: u64 = 220;

/// The number of parts of the run whose rates are printed separately.
const PARTS: u64 = 10;

/// Writes entries with times in the last minutes, spread evenly over all users and locations.
pub async fn fill(site: &Site, users: u64, entries: u64) -> Result<()> {
    let (storage, started) = (site.storage().await?, Instant::now());
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
    for first in (0..entries).step_by(BATCH as usize) {
        let batch = first..entries.min(first + BATCH);
        let checkin = |number: u64| {
            // The two sequences are not synchronised.
            let checkin = NewCheckin {
                user: UserId::try_from(number * 7_919 % users + 1)?,
                location: LocationId::try_from(number * 104_729 % LOCATIONS + 1)?,
                stars: StarRating::try_from(number % 6)?,
                comment: None,
                is_private: false,
            };
            let ms = now - (entries - number) / 2;
            Ok(checkin.with_id(CheckinId { ms, seq: number }))
        };
        let batch = batch.map(checkin).collect::<Result<Vec<_>>>()?;
        storage.load_checkins(&batch).await?;
    }
    println!("{entries} entries of the log written in {:.1?}", started.elapsed());
    Ok(())
}

/// Starts `checkin processor`, and measures its rate and the processor time. Returns the entries per
/// second.
pub async fn count(site: &Site, entries: u64) -> Result<f64> {
    let storage = site.storage().await?;
    ensure!(storage.backlog().await? == entries);
    let mut processor = site.run("processor", &[]);
    let redis = site.redis.as_ref().map(|redis| redis.pid());
    let of_redis = || redis.map_or(Ok(0.0), process::microseconds);
    let before = of_redis()?;
    let (mut rates, mut left, mut since) = (Vec::new(), entries, Instant::now());
    let started = since;
    while left > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = storage.backlog().await?;
        if left - now >= entries / PARTS || now == 0 {
            rates.push((left - now) as f64 / since.elapsed().as_secs_f64());
            (left, since) = (now, Instant::now());
        }
    }
    let rate = entries as f64 / started.elapsed().as_secs_f64();
    let parts: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!("checkin processor: {rate:.0} entries per second; by parts {}", parts.join(" "));
    let (of_redis, own) = (of_redis()? - before, process::microseconds(processor.pid())?);
    let each = [own, of_redis].map(|time| time / entries as f64);
    println!("processor time of each entry: {:.1} µs, Redis {:.1} µs", each[0], each[1]);
    processor.stop();
    let started = Instant::now();
    let audit = storage.audit().await?;
    ensure!(audit.different == 0 && audit.counted == entries, "{audit:?}");
    println!("a recount agrees after {:.1?}: {} counted", started.elapsed(), audit.counted);
    Ok(rate)
}
