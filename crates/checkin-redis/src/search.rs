//! Locations by the words of their names.
//!
//! The index of the words has no order by ids. If one of the words is in few names, they are the candidates.
//! If all are in many names, a location in the order of the ids is probably named so, and all locations are
//! candidates. Their names decide. So a search reads a limited part of the index, and a limited number of
//! locations.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::vec;

use checkin_domain::words::{index_words, words};
use checkin_domain::{Location, LocationId};
use checkin_storage::{
    FoundLocations, MAX_CANDIDATES, MAX_SEARCH_WORDS, Page, Position, Ranked, Result, readable,
};

use crate::connection::{Connection, at_once};
use crate::locations;
use crate::reply::texts;

pub(crate) async fn places(redis: &Connection, text: &str, page: Page) -> Result<FoundLocations> {
    let words = search_words(text);
    if words.is_empty() {
        return Ok(FoundLocations::default());
    }
    let begin = page.after.map_or(0, |after| after.rank);
    let mut candidates = Candidates::of(redis, &words, begin).await?;
    let (mut found, mut looked_at, mut last) = (FoundLocations::default(), 0, None);
    while found.locations.len() < page.limit {
        if looked_at >= MAX_CANDIDATES {
            found.next = last;
            break;
        }
        // More and more, because few of those that were read first were found.
        let limit = page.limit.max(looked_at).min(MAX_CANDIDATES - looked_at);
        let ids = candidates.next(redis, limit).await?;
        let Some(id) = ids.last().map(|id| id.get()) else { break };
        last = Some(Position { rank: id, id });
        looked_at += ids.len();
        let read = |id| async move { readable(locations::read(redis, id).await) };
        let places = at_once(ids.into_iter().map(read).collect()).await?;
        let named = places.into_iter().flatten().filter(|place| has_words(place, &words));
        let ranked = named.map(|item| Ranked { rank: item.id.get(), item });
        found.locations.extend(ranked);
    }
    found.locations.truncate(page.limit);
    Ok(found)
}

/// Returns the words to search for, long ones first: they are in few names.
fn search_words(text: &str) -> Vec<String> {
    let mut words = words(text);
    words.truncate(MAX_SEARCH_WORDS);
    words.sort_unstable();
    words.dedup();
    words.sort_by_key(|word| Reverse(word.len()));
    words
}

/// Returns whether a location's name has, for each of these words, a word that begins with it.
fn has_words(place: &Location, words: &[String]) -> bool {
    let named = index_words(&place.name);
    words.iter().all(|word| named.iter().any(|of_name| of_name.starts_with(word)))
}

/// The locations that may be found, by their ids.
enum Candidates {
    /// Those whose names have a word that is in few names.
    Named(vec::IntoIter<LocationId>),
    /// All locations after this id.
    All(u64),
}

impl Candidates {
    async fn of(redis: &Connection, words: &[String], after: u64) -> Result<Self> {
        for word in words {
            if let Some(ids) = few_ids_of(redis, word).await? {
                let ids: Vec<_> = ids.into_iter().filter(|id| id.get() > after).collect();
                return Ok(Self::Named(ids.into_iter()));
            }
        }
        Ok(Self::All(after))
    }

    /// Returns the next candidates, at most `limit`. There are none only at the end.
    async fn next(&mut self, redis: &Connection, limit: usize) -> Result<Vec<LocationId>> {
        match self {
            Self::Named(ids) => Ok(ids.by_ref().take(limit).collect()),
            Self::All(after) => {
                let ids = redis.ids_after(&redis.keys.location_ids(), *after, limit).await?;
                *after = ids.last().copied().map_or(*after, LocationId::get);
                Ok(ids)
            }
        }
    }
}

/// Returns the locations whose names have a word that begins with this one, unless the index has more of them
/// than there are candidates.
async fn few_ids_of(redis: &Connection, word: &str) -> Result<Option<BTreeSet<LocationId>>> {
    let (key, limit) = (redis.keys.words(), (MAX_CANDIDATES + 1).to_string());
    // No UTF-8 text has the byte 255.
    let (begin, end) = (format!("[{word}"), [b"[", word.as_bytes(), b"\xff"].concat());
    let range: [&[u8]; 7] =
        [b"ZRANGEBYLEX", key.as_bytes(), begin.as_bytes(), &end, b"LIMIT", b"0", limit.as_bytes()];
    let members = texts(redis.call_bytes(&range).await?)?;
    if members.len() > MAX_CANDIDATES {
        return Ok(None);
    }
    let named = members.iter().map(|member| member.rsplit('\0').next().unwrap_or_default());
    Ok(Some(named.filter_map(|id| redis.listed::<LocationId>(&key, id)).collect()))
}
