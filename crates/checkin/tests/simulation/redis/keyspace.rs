//! The keys with their types and times to live, and which function carries out a command.

use std::collections::BTreeMap;

use redis_link::redis::Value;

use super::hashes::{self, Hash};
use super::sorted_sets::{self, SortedSet};
use super::streams::{self, Stream};
use super::{Answer, count, name, not_modelled, number, strings};

/// Commands that Redis refuses while its memory is full.
const ENLARGING: [&str; 11] = [
    "HINCRBY", "HSET", "HSETNX", "INCR", "PSETEX", "SET", "SETRANGE", "XADD", "ZADD", "ZINCRBY",
    "SADD",
];
const READING: [&str; 24] = [
    "EXISTS",
    "GET",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HLEN",
    "HMGET",
    "MGET",
    "PING",
    "PTTL",
    "SSCAN",
    "TIME",
    "XINFO",
    "XLEN",
    "XRANGE",
    "XREVRANGE",
    "ZCARD",
    "ZCOUNT",
    "ZMSCORE",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREVRANGE",
    "ZSCAN",
    "ZSCORE",
];

/// The value of a key.
pub(crate) enum Content {
    Text(Vec<u8>),
    Hash(Hash),
    SortedSet(SortedSet),
    Stream(Stream),
}

struct Key {
    content: Content,
    /// When it expires, in milliseconds since 1970.
    expires_ms: Option<u64>,
}

/// What a server refuses.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Refusal {
    pub is_memory_full: bool,
    /// A command for which the user has no permission.
    pub denied: Option<&'static str>,
}

/// All keys of a server.
#[derive(Default)]
pub(crate) struct Keyspace {
    keys: BTreeMap<Vec<u8>, Key>,
    now_us: u64,
    pub refusal: Refusal,
    /// The script has written. Redis does not stop it half-way when its memory is full.
    has_written: bool,
}

/// A type of values.
pub(crate) trait Kind: Default {
    fn of(content: &Content) -> Option<&Self>;
    fn of_mut(content: &mut Content) -> Option<&mut Self>;
    fn into_content(self) -> Content;
    /// An empty value of most types is removed with its key.
    fn is_gone(&self) -> bool;
}

/// Makes a type of values of a variant of [`Content`]. The function tells whether a value is gone.
macro_rules! kind {
    ($kind:ty = $variant:ident, $is_gone:expr) => {
        impl $crate::redis::keyspace::Kind for $kind {
            fn of(content: &$crate::redis::keyspace::Content) -> Option<&Self> {
                match content {
                    $crate::redis::keyspace::Content::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn of_mut(content: &mut $crate::redis::keyspace::Content) -> Option<&mut Self> {
                match content {
                    $crate::redis::keyspace::Content::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn into_content(self) -> $crate::redis::keyspace::Content {
                $crate::redis::keyspace::Content::$variant(self)
            }

            fn is_gone(&self) -> bool {
                let is_gone: fn(&Self) -> bool = $is_gone;
                is_gone(self)
            }
        }
    };
}
pub(crate) use kind;

impl Keyspace {
    /// Begins a command or a script. Time stands still until the next one.
    pub(crate) fn begin(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.has_written = false;
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    pub(crate) fn execute(&mut self, words: &[Vec<u8>]) -> Answer {
        let (name, arguments) = (name(words), words.get(1..).unwrap_or_default());
        if self.refusal.is_memory_full && !self.has_written && ENLARGING.contains(&&*name) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        if self.refusal.denied == Some(&*name) {
            return Err(
                "ERR The user executing the script can't run this command or subcommand".into()
            );
        }
        let answer = self.dispatch(&name, arguments);
        self.has_written |= answer.is_ok() && !READING.contains(&&*name);
        answer
    }

    fn dispatch(&mut self, name: &str, arguments: &[Vec<u8>]) -> Answer {
        match (name, arguments) {
            ("PING", []) => Ok(Value::SimpleString("PONG".into())),
            ("TIME", []) => {
                let (seconds, rest) = (self.now_us / 1_000_000, self.now_us % 1_000_000);
                let text = |number: u64| Value::BulkString(number.to_string().into_bytes());
                Ok(Value::Array(vec![text(seconds), text(rest)]))
            }
            ("EXISTS", keys) => Ok(count(keys.iter().filter(|key| self.exists(key)).count())),
            ("DEL", keys) => Ok(count(keys.iter().filter(|key| self.remove(key)).count())),
            ("MGET", keys @ [_, ..]) => {
                // Another type counts as nothing.
                let value = |key: &Vec<u8>| match self.get::<Vec<u8>>(key) {
                    Ok(Some(value)) => Value::BulkString(value.clone()),
                    _ => Value::Nil,
                };
                Ok(Value::Array(keys.iter().map(value).collect()))
            }
            // Only imports make sets.
            ("SSCAN", [key, _, ..]) if !self.exists(key) => {
                Ok(Value::Array(vec![Value::BulkString(b"0".to_vec()), Value::Array(Vec::new())]))
            }
            ("PEXPIREAT", [key, at]) => self.expire_at(key, number(at)?),
            ("PEXPIRE", [key, ms]) => self.expire_at(key, self.now_ms() + number::<u64>(ms)?),
            ("EXPIRE", [key, seconds]) => {
                self.expire_at(key, self.now_ms() + 1000 * number::<u64>(seconds)?)
            }
            ("PTTL", [key]) => Ok(Value::Int(match (self.exists(key), self.expires_ms(key)) {
                (false, _) => -2,
                (true, None) => -1,
                (true, Some(at)) => at.saturating_sub(self.now_ms()) as i64,
            })),
            (name, [key, rest @ ..]) => match name.as_bytes()[0] {
                b'H' => hashes::execute(self, name, key, rest),
                b'X' => streams::execute(self, name, key, rest),
                b'Z' => sorted_sets::execute(self, name, key, rest),
                _ => strings::execute(self, name, key, rest),
            },
            (name, _) => not_modelled(&[name.into()]),
        }
    }

    /// Removes the keys that expire before this time, and returns them.
    #[cfg(feature = "external-tests")]
    pub(crate) fn expired(&mut self, now_us: u64) -> Vec<Vec<u8>> {
        let is_over = |key: &Key| key.expires_ms.is_some_and(|at| now_us / 1000 > at);
        let gone = self.keys.iter().filter(|(_, key)| is_over(key));
        let gone: Vec<Vec<u8>> = gone.map(|(name, _)| name.clone()).collect();
        self.keys.retain(|_, key| !is_over(key));
        gone
    }

    fn exists(&mut self, key: &[u8]) -> bool {
        self.expire(key);
        self.keys.contains_key(key)
    }

    /// Removes a key whose time is over.
    fn expire(&mut self, key: &[u8]) {
        let now_ms = self.now_ms();
        if self.keys.get(key).and_then(|key| key.expires_ms).is_some_and(|at| now_ms > at) {
            self.keys.remove(key);
        }
    }

    fn expire_at(&mut self, key: &[u8], at_ms: u64) -> Answer {
        self.expire(key);
        let Some(found) = self.keys.get_mut(key) else { return Ok(Value::Int(0)) };
        found.expires_ms = Some(at_ms);
        if at_ms <= self.now_us / 1000 {
            self.keys.remove(key);
        }
        Ok(Value::Int(1))
    }

    /// When a key expires.
    pub(crate) fn expires_ms(&self, key: &[u8]) -> Option<u64> {
        self.keys.get(key)?.expires_ms
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        self.expire(key);
        self.keys.remove(key).is_some()
    }

    /// Replaces a value of any type.
    pub(crate) fn set(&mut self, key: &[u8], content: Content, expires_ms: Option<u64>) {
        self.keys.insert(key.to_vec(), Key { content, expires_ms });
    }

    /// Returns the value of a key; `None` if it does not exist.
    pub(crate) fn get<T: Kind>(&mut self, key: &[u8]) -> Result<Option<&T>, String> {
        self.expire(key);
        self.keys.get(key).map(|key| T::of(&key.content).ok_or_else(wrong_type)).transpose()
    }

    /// Changes the value of a key, which is created if it does not exist, and removed if it is empty then.
    pub(crate) fn change<T: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T) -> Result<R, String>,
    ) -> Result<R, String> {
        self.expire(key);
        let new = || Key { content: T::default().into_content(), expires_ms: None };
        let found = self.keys.entry(key.to_vec()).or_insert_with(new);
        let value = T::of_mut(&mut found.content).ok_or_else(wrong_type)?;
        let changed = change(value);
        if value.is_gone() {
            self.keys.remove(key);
        }
        changed
    }
}

fn wrong_type() -> String {
    "WRONGTYPE Operation against a key holding the wrong kind of value".into()
}
