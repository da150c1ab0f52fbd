//! The commands of streams.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use redis_link::redis::Value;

use super::keyspace::{Keyspace, kind};
use super::{Answer, bulk, count, name, not_modelled, number, text};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryId(pub u64, pub u64);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl EntryId {
    /// Reads an id; without a sequence number, it has this one.
    pub(crate) fn read(word: &[u8], seq: u64) -> Result<Self, String> {
        let invalid = || "ERR Invalid stream ID specified as stream command argument".to_owned();
        match text(word).split_once('-') {
            Some((ms, seq)) => {
                Ok(Self(ms.parse().map_err(|_| invalid())?, seq.parse().map_err(|_| invalid())?))
            }
            None => Ok(Self(text(word).parse().map_err(|_| invalid())?, seq)),
        }
    }
}

/// The names and values of an entry alternately.
pub(crate) type Entry = Vec<Vec<u8>>;

#[derive(Default)]
pub(crate) struct Stream {
    pub entries: BTreeMap<EntryId, Entry>,
    pub last: EntryId,
    added: u64,
}

// A stream stays when its last entry leaves it.
kind!(Stream = Stream, |stream| stream.added == 0);

pub(crate) fn execute(
    keys: &mut Keyspace,
    command: &str,
    key: &[u8],
    arguments: &[Vec<u8>],
) -> Answer {
    let now_ms = keys.now_ms();
    match (command, arguments) {
        ("XADD", [id, fields @ ..]) if fields.len() >= 2 && fields.len().is_multiple_of(2) => {
            keys.change(key, |stream: &mut Stream| stream.add(id, fields, now_ms))
        }
        ("XLEN", []) => Ok(count(keys.get::<Stream>(key)?.map_or(0, |found| found.entries.len()))),
        ("XRANGE", [from, to, options @ ..]) => range(keys, key, from, to, options, false),
        ("XREVRANGE", [to, from, options @ ..]) => range(keys, key, from, to, options, true),
        ("XDEL", [id]) => {
            let id = EntryId::read(id, 0)?;
            if keys.get::<Stream>(key)?.is_none() {
                return Ok(Value::Int(0));
            }
            keys.change(key, |stream: &mut Stream| {
                Ok(count(usize::from(stream.entries.remove(&id).is_some())))
            })
        }
        ("XTRIM", [_maxlen, _exactly, length]) => {
            let length: usize = number(length)?;
            if keys.get::<Stream>(key)?.is_none() {
                return Ok(Value::Int(0));
            }
            keys.change(key, |stream: &mut Stream| {
                let over = stream.entries.len().saturating_sub(length);
                for _ in 0..over {
                    stream.entries.pop_first();
                }
                Ok(count(over))
            })
        }
        ("XINFO", [stream]) if key.eq_ignore_ascii_case(b"STREAM") => info(keys, stream),
        _ => not_modelled(&[&[command.into(), key.to_vec()], arguments].concat()),
    }
}

impl Stream {
    fn add(&mut self, id: &[u8], fields: &[Vec<u8>], now_ms: u64) -> Answer {
        let id = match id {
            b"*" if now_ms > self.last.0 => EntryId(now_ms, 0),
            b"*" => EntryId(self.last.0, self.last.1 + 1),
            id => EntryId::read(id, 0)?,
        };
        if id == EntryId::default() {
            return Err("ERR The ID specified in XADD must be greater than 0-0".into());
        }
        if id <= self.last {
            return Err(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
                    .into(),
            );
        }
        self.entries.insert(id, fields.to_vec());
        self.last = id;
        self.added += 1;
        Ok(bulk(id.to_string().as_bytes()))
    }
}

fn range(
    keys: &mut Keyspace,
    key: &[u8],
    from: &[u8],
    to: &[u8],
    options: &[Vec<u8>],
    is_reverse: bool,
) -> Answer {
    let most = match options {
        [] => usize::MAX,
        [count, most] if name(std::slice::from_ref(count)) == "COUNT" => number(most)?,
        _ => return not_modelled(options),
    };
    let bounds = (bound(from, 0)?, bound(to, u64::MAX)?);
    let listed = |(id, fields): (&EntryId, &Entry)| {
        let fields = fields.iter().map(|word| bulk(word)).collect();
        Value::Array(vec![bulk(id.to_string().as_bytes()), Value::Array(fields)])
    };
    let Some(stream) = keys.get::<Stream>(key)? else { return Ok(Value::Array(Vec::new())) };
    if is_empty(bounds) {
        return Ok(Value::Array(Vec::new()));
    }
    let found = stream.entries.range(bounds);
    Ok(Value::Array(match is_reverse {
        true => found.rev().take(most).map(listed).collect(),
        false => found.take(most).map(listed).collect(),
    }))
}

/// Returns whether the end lies before the beginning, which `range` of a map does not allow.
fn is_empty(bounds: (Bound<EntryId>, Bound<EntryId>)) -> bool {
    use Bound::{Excluded, Included};
    match bounds {
        (Included(from), Included(to)) => from > to,
        (Included(from) | Excluded(from), Included(to) | Excluded(to)) => from >= to,
        _ => false,
    }
}

fn bound(word: &[u8], seq: u64) -> Result<Bound<EntryId>, String> {
    Ok(match word {
        b"-" => Bound::Included(EntryId::default()),
        b"+" => Bound::Included(EntryId(u64::MAX, u64::MAX)),
        [b'(', rest @ ..] => Bound::Excluded(EntryId::read(rest, seq)?),
        id => Bound::Included(EntryId::read(id, seq)?),
    })
}

/// Some of the fields that Redis 7 returns.
fn info(keys: &mut Keyspace, key: &[u8]) -> Answer {
    let Some(stream) = keys.get::<Stream>(key)? else { return Err("ERR no such key".into()) };
    Ok(Value::Array(vec![
        bulk(b"length"),
        count(stream.entries.len()),
        bulk(b"last-generated-id"),
        bulk(stream.last.to_string().as_bytes()),
        bulk(b"entries-added"),
        Value::Int(stream.added as i64),
    ]))
}
