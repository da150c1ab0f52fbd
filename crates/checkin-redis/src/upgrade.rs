//! Upgrading the data of older versions.

use checkin_domain::LocationId;
use checkin_storage::Result;
use redis_link::Reply;

use crate::connection::{Connection, ID_PAGE, at_once};
use crate::lists::Lists;
use crate::locations;
use crate::reply::{number, text};

/// How long the old index of names is kept for older programs that still run: a week, in seconds.
const OLD_INDEX_LIFE: &str = "604800";

/// Indexes the names of all locations again if an older program has indexed names since the last time.
/// Several processes may do so at the same time. If one is interrupted, the next one repeats it.
pub(crate) async fn upgrade_words(redis: &Connection) -> Result<()> {
    let (old, seen) = (redis.keys.old_words(), redis.keys.old_words_seen());
    let entries = number(redis.call(&["ZCARD", &old]).await?)?.to_string();
    let known = match redis.call(&["GET", &seen]).await? {
        Reply::Nil => "0".to_owned(),
        known => text(known)?,
    };
    if entries == "0" || entries == known {
        return Ok(());
    }
    tracing::info!("an older version indexed the names of locations: they are indexed again");
    let (lists, mut after) = (Lists(redis), None::<LocationId>);
    loop {
        let places = locations::read_after(redis, after, ID_PAGE).await?;
        at_once(places.iter().map(|place| lists.index_name(place)).collect()).await?;
        match places.last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    redis.call(&["EXPIRE", &old, OLD_INDEX_LIFE]).await?;
    redis.call(&["SET", &seen, &entries, "EX", OLD_INDEX_LIFE]).await?;
    Ok(())
}
