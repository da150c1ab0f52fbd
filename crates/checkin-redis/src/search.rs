//! Locations by the words of their names.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use checkin_domain::words::words;
use checkin_domain::{Location, LocationId};
use checkin_storage::{MAX_SEARCH_WORDS, Page, Ranked, Result, readable};

use crate::connection::{Connection, IN_FLIGHT, at_once};
use crate::locations;
use crate::reply::texts;

/// Maximum number of index entries in one request.
const STEP: usize = 1000;

pub(crate) async fn places(
    redis: &Connection,
    text: &str,
    page: Page,
) -> Result<Vec<Ranked<Location>>> {
    let (ids, mut places) = (ids_named(redis, text, page).await?, Vec::new());
    let ids: Vec<LocationId> = ids.into_iter().collect();
    for chunk in ids.chunks(page.limit.clamp(1, IN_FLIGHT)) {
        if places.len() >= page.limit {
            break;
        }
        let read = |id| async move { readable(locations::read(redis, id).await) };
        let found = at_once(chunk.iter().copied().map(read).collect()).await?;
        places.extend(found.into_iter().flatten());
    }
    places.truncate(page.limit);
    Ok(places.into_iter().map(|item| Ranked { rank: item.id.get(), item }).collect())
}

/// Returns the locations whose names have all words, after the beginning of the page.
async fn ids_named(redis: &Connection, text: &str, page: Page) -> Result<BTreeSet<LocationId>> {
    let mut words = words(text);
    words.truncate(MAX_SEARCH_WORDS);
    words.sort_unstable();
    words.dedup();
    // Long words first: they are in few names, so that few ids remain.
    words.sort_by_key(|word| Reverse(word.len()));
    let Some((longest, others)) = words.split_first() else {
        return Ok(BTreeSet::new());
    };
    let mut ids = ids_of(redis, longest).await?;
    if let Some(after) = page.after {
        let behind = |id: &LocationId| (id.get(), id.get()) > (after.rank, after.id);
        ids.retain(behind);
    }
    for word in others {
        if ids.is_empty() {
            break;
        }
        let of_word = ids_of(redis, word).await?;
        ids.retain(|id| of_word.contains(id));
    }
    Ok(ids)
}

/// Returns the locations whose names have a word that begins with this one.
async fn ids_of(redis: &Connection, word: &str) -> Result<BTreeSet<LocationId>> {
    let (key, step) = (redis.keys.words(), STEP.to_string());
    // No UTF-8 text has the byte 255.
    let end = [b"[", word.as_bytes(), b"\xff"].concat();
    let (mut begin, mut ids) = (format!("[{word}"), BTreeSet::new());
    loop {
        let range: [&[u8]; 7] = [
            b"ZRANGEBYLEX",
            key.as_bytes(),
            begin.as_bytes(),
            &end,
            b"LIMIT",
            b"0",
            step.as_bytes(),
        ];
        let members = texts(redis.call_bytes(&range).await?)?;
        let named = members.iter().map(|member| member.rsplit('\0').next().unwrap_or_default());
        ids.extend(named.filter_map(|id| redis.listed::<LocationId>(&key, id)));
        match members.last() {
            Some(last) if members.len() == STEP => begin = format!("({last}"),
            _ => return Ok(ids),
        }
    }
}
