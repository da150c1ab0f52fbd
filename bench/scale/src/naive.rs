//! A naive consumer: a consumer group, one entry at a time, one script and one acknowledgement
//! each.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result};
use redis::{Commands, Script};

use crate::process;
use crate::site::Site;

/// Computes the same figures as the processor, but no histories and lists, and is not idempotent.
const COUNT: &str = "
redis.call('HINCRBY', KEYS[1], 'numCheckins', 1)
redis.call('HSET', KEYS[1], 'lastCheckin', ARGV[1], 'lastSeenAt', ARGV[2])
local number = redis.call('HINCRBY', KEYS[2], 'numCheckins', 1)
local stars = redis.call('HINCRBY', KEYS[2], 'numStars', ARGV[3])
redis.call('HSET', KEYS[2], 'averageStars', string.format('%.1f', stars / number))
";

/// Counts into separate keys, so that the processor can count the same entries afterwards. Returns the
/// entries per second.
pub fn count(site: &Site, entries: u64) -> Result<f64> {
    let redis = site.redis.as_ref().context("the naive consumer runs only on Redis")?;
    let mut connection = redis.connection();
    let () = redis::cmd("XGROUP")
        .arg(&["CREATE", "ncc:checkins", "naive", "0"])
        .query(&mut connection)?;
    let script = Script::new(COUNT);
    let (started, before) = (Instant::now(), process::microseconds(redis.pid())?);
    for _ in 0..entries {
        type Entry = (String, HashMap<String, String>);
        let read: Vec<(String, Vec<Entry>)> = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "naive", "one", "COUNT", "1", "STREAMS", "ncc:checkins", ">"])
            .query(&mut connection)?;
        let (id, fields) = &read[0].1[0];
        let () = script
            .key(format!("naive:user:{}", fields["userId"]))
            .key(format!("naive:location:{}", fields["locationId"]))
            .arg(id.split('-').next())
            .arg(&fields["locationId"])
            .arg(&fields["starRating"])
            .invoke(&mut connection)?;
        let () = redis::cmd("XACK").arg(&["ncc:checkins", "naive", id]).query(&mut connection)?;
    }
    let rate = entries as f64 / started.elapsed().as_secs_f64();
    let of_redis = (process::microseconds(redis.pid())? - before) / entries as f64;
    println!("naive consumer: {rate:.0} entries per second; Redis {of_redis:.1} µs each");
    let () =
        redis::cmd("XGROUP").arg(&["DESTROY", "ncc:checkins", "naive"]).query(&mut connection)?;
    let keys: Vec<String> = connection.keys("naive:*")?;
    for keys in keys.chunks(10_000) {
        let () = connection.unlink(keys)?;
    }
    Ok(rate)
}
