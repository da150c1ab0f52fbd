//! A model of Redis: the commands that the storage and its scripts use, in memory, with a clock that is set
//! from outside. `compare.rs` sends the same commands to a real server and compares the replies. An unknown
//! command or option is an error that begins with `NOTMODELLED`.

#[cfg(feature = "external-tests")]
mod compare;
mod hashes;
mod keyspace;
mod scripts;
mod sorted_sets;
mod streams;
mod strings;

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};

use redis_link::redis::Value;

use self::hashes::Hash;
pub(crate) use self::keyspace::{Keyspace, Refusal};
use self::scripts::Scripts;
pub(crate) use self::sorted_sets::SortedSet;
pub(crate) use self::streams::{Entry, EntryId, Stream};

/// The reply to a command, or the text of its error.
pub(crate) type Answer = Result<Value, String>;

/// A server.
pub(crate) struct Redis {
    // Locked for a command, or for each command of a script. Never across an await.
    keyspace: Arc<Mutex<Keyspace>>,
    scripts: Scripts,
}

impl Redis {
    pub(crate) fn new() -> Self {
        let keyspace = Arc::<Mutex<Keyspace>>::default();
        Self { scripts: Scripts::new(Arc::clone(&keyspace)), keyspace }
    }

    pub(crate) fn keyspace(&self) -> MutexGuard<'_, Keyspace> {
        self.keyspace.lock().unwrap()
    }

    /// Runs a command at this time (µs since 1970).
    pub(crate) fn execute(&mut self, now_us: u64, words: &[Vec<u8>]) -> Answer {
        self.keyspace().begin(now_us);
        match &*name(words) {
            "EVALSHA" => self.scripts.run_known(words),
            "EVAL" => self.scripts.run(words),
            _ => self.keyspace().execute(words),
        }
    }

    /// Forgets all scripts, as a restart does.
    pub(crate) fn flush_scripts(&mut self) {
        self.scripts.flush();
    }
}

/// Returns the name of a command, in capitals.
pub(crate) fn name(words: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(words.first().map_or(&[], |word| word)).to_ascii_uppercase()
}

fn text(word: &[u8]) -> &str {
    std::str::from_utf8(word).unwrap_or("")
}

fn number<T: FromStr>(word: &[u8]) -> Result<T, String> {
    text(word).parse().map_err(|_| "ERR value is not an integer or out of range".to_owned())
}

fn bulk(word: &[u8]) -> Value {
    Value::BulkString(word.to_vec())
}

fn bulk_or_nil(word: Option<&[u8]>) -> Value {
    word.map_or(Value::Nil, bulk)
}

fn count(count: usize) -> Value {
    Value::Int(count as i64)
}

fn not_modelled<T>(what: &[Vec<u8>]) -> Result<T, String> {
    let what: Vec<_> = what.iter().map(|word| String::from_utf8_lossy(word)).collect();
    Err(format!("NOTMODELLED {}", what.join(" ")))
}

/// Returns a field of a hash.
pub(crate) fn hash_field(
    keyspace: &mut Keyspace,
    key: &str,
    field: &str,
) -> Result<Option<Vec<u8>>, String> {
    let hash = keyspace.get::<Hash>(key.as_bytes())?;
    Ok(hash.and_then(|hash| hash.get(field.as_bytes())).map(<[u8]>::to_vec))
}
