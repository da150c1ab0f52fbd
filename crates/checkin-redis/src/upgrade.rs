//! What older programs left, brought into the form of this one.

use super::{ID_PAGE, RedisStorage, Reply, at_once, number, text};
use checkin_domain::LocationId;
use checkin_storage::{LocationRepository, Result};

/// How long the old index of names stays for older programs that still run, in seconds: a week.
const OLD_INDEX_LIFE: &str = "604800";

impl RedisStorage {
    /// Indexes the names of all places anew if an older program indexed names since this was last
    /// done. Several processes may do so at once, and one that dies half-way leaves it to the next.
    pub(super) async fn upgrade_words(&self) -> Result<()> {
        let (old, seen) = (self.keys.old_words(), self.keys.old_words_seen());
        let entries = number(self.call(&["ZCARD", &old]).await?)?.to_string();
        let known = match self.call(&["GET", &seen]).await? {
            Reply::Nil => "0".to_owned(),
            known => text(known)?,
        };
        if entries == "0" || entries == known {
            return Ok(());
        }
        tracing::info!("an older version indexed the names of places: they are indexed again");
        let mut after: Option<LocationId> = None;
        loop {
            let places = self.locations_after(after, ID_PAGE).await?;
            at_once(places.iter().map(|place| self.index_name(place)).collect()).await?;
            match places.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        self.call(&["EXPIRE", &old, OLD_INDEX_LIFE]).await?;
        self.call(&["SET", &seen, &entries, "EX", OLD_INDEX_LIFE]).await?;
        Ok(())
    }
}
