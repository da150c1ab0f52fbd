//! The commands of hashes.

use redis_link::redis::Value;

use super::keyspace::{Keyspace, kind};
use super::{Answer, bulk, bulk_or_nil, count, not_modelled, number, text};

/// Names and values in the order in which they were added, as Redis keeps those of small hashes.
#[derive(Default)]
pub(crate) struct Hash(Vec<(Vec<u8>, Vec<u8>)>);

impl Hash {
    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_slice())
    }

    /// Returns whether the field is new.
    fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let found = self.0.iter_mut().find(|(name, _)| name == field);
        let is_new = found.is_none();
        match found {
            Some((_, old)) => *old = value.to_vec(),
            None => self.0.push((field.to_vec(), value.to_vec())),
        }
        is_new
    }

    fn remove(&mut self, field: &[u8]) -> bool {
        let before = self.0.len();
        self.0.retain(|(name, _)| name != field);
        self.0.len() < before
    }
}

kind!(Hash = Hash, |hash| hash.0.is_empty());

pub(crate) fn execute(
    keys: &mut Keyspace,
    command: &str,
    key: &[u8],
    arguments: &[Vec<u8>],
) -> Answer {
    match (command, arguments) {
        ("HGET", [field]) => {
            Ok(bulk_or_nil(keys.get::<Hash>(key)?.and_then(|hash| hash.get(field))))
        }
        ("HEXISTS", [field]) => {
            let found = keys.get::<Hash>(key)?.and_then(|hash| hash.get(field));
            Ok(count(usize::from(found.is_some())))
        }
        ("HLEN", []) => Ok(count(keys.get::<Hash>(key)?.map_or(0, |hash| hash.0.len()))),
        ("HMGET", [_, ..]) => {
            let hash = keys.get::<Hash>(key)?;
            let value = |field: &Vec<u8>| bulk_or_nil(hash.and_then(|hash| hash.get(field)));
            Ok(Value::Array(arguments.iter().map(value).collect()))
        }
        ("HGETALL", []) => {
            let fields = keys.get::<Hash>(key)?.map_or(&[][..], |hash| &hash.0);
            let words = fields.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]);
            Ok(Value::Array(words.collect()))
        }
        ("HSET", [_, _, ..]) if arguments.len().is_multiple_of(2) => {
            keys.change(key, |hash: &mut Hash| {
                let pairs = arguments.chunks_exact(2);
                Ok(count(pairs.filter(|pair| hash.set(&pair[0], &pair[1])).count()))
            })
        }
        ("HSETNX", [field, value]) => keys.change(key, |hash: &mut Hash| {
            let is_new = hash.get(field).is_none() && hash.set(field, value);
            Ok(count(usize::from(is_new)))
        }),
        ("HDEL", [_, ..]) => keys.change(key, |hash: &mut Hash| {
            Ok(count(arguments.iter().filter(|field| hash.remove(field)).count()))
        }),
        ("HINCRBY", [field, by]) => keys.change(key, |hash: &mut Hash| {
            let by: i64 = number(by)?;
            let old = text(hash.get(field).unwrap_or(b"0")).parse::<i64>();
            let new = old.map_err(|_| "ERR hash value is not an integer")? + by;
            hash.set(field, new.to_string().as_bytes());
            Ok(Value::Int(new))
        }),
        _ => not_modelled(&[&[command.into(), key.to_vec()], arguments].concat()),
    }
}
