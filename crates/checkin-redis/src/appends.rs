//! The appends of concurrent requests, which share a round trip and one run of the script.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use checkin_domain::{CheckinId, Comment, NewCheckin, UserId};
use checkin_storage::{Accepted, Admission, IDEMPOTENCY_TTL, Result, StorageError, UsedUp};
use redis_link::Reply;
use tokio::sync::{mpsc, oneshot};

use crate::connection::Connection;
use crate::fault::failed;
use crate::keys::{IdempotencyKey, Keys};
use crate::reply::{array, number, text, unexpected};

/// Maximum number of check-ins in one run of the script. A run takes about a millisecond, in which
/// Redis serves nobody else.
const AT_ONCE: usize = 128;

/// Maximum number of check-ins that wait for a partition; further requests wait to be among them.
const WAITING: usize = 1024;

/// The number of the script's arguments that concern all check-ins, and of those of each.
const SETTINGS: usize = 11;
const WORDS: usize = 5;

/// The check-ins that wait to be appended, by partition. Each partition has a task, which begins with
/// its first check-in and sends all that wait, one run of the script after the other.
#[derive(Clone)]
pub(crate) struct Appends(Arc<[Mutex<Option<mpsc::Sender<Append>>>]>);

struct Append {
    /// The user, the location, the stars and the comment, which may be empty, as arguments of the script.
    words: [String; 4],
    /// The key in Redis of the marker of an identical check-in, if there is a duplicate window.
    recent: Option<String>,
    /// What the script needs to know of its idempotency key.
    key: Option<Key>,
    admission: Admission,
    answer: oneshot::Sender<Result<Accepted>>,
}

struct Key {
    user: UserId,
    hashed: IdempotencyKey,
    /// The field of one of the hashes.
    digest: [u8; 12],
    /// The hashes that may have it.
    hashes: [String; 2],
}

impl Key {
    fn new(keys: &Keys, user: UserId, key: &str) -> Self {
        let hashed = IdempotencyKey::new(user, key);
        let (digest, hashes) = (hashed.digest(), keys.idempotency(user, &hashed));
        Self { user, hashed, digest, hashes }
    }

    /// Returns the key in Redis in which older versions keep it.
    fn old(&self, keys: &Keys) -> String {
        keys.old_idempotency(self.user, &self.hashed)
    }
}

impl Appends {
    pub(crate) fn new(partitions: usize) -> Self {
        Self((0..partitions).map(|_| Mutex::default()).collect())
    }

    /// Appends a check-in and waits for the result.
    ///
    /// # Cancel safety
    ///
    /// A check-in whose future is dropped may still be appended.
    pub(crate) async fn append(
        &self,
        redis: &Connection,
        (checkin, idempotency_key): (NewCheckin, Option<&str>),
        admission: Admission,
    ) -> Result<Accepted> {
        let partition = redis.keys.partition_of(checkin.user);
        let (answer, answered) = oneshot::channel();
        // The script counts it in milliseconds, too.
        let has_window = admission.duplicate_window.as_millis() > 0;
        let append = Append {
            words: words(&checkin),
            recent: has_window.then(|| redis.keys.recent(&checkin)),
            key: idempotency_key.map(|key| Key::new(&redis.keys, checkin.user, key)),
            admission,
            answer,
        };
        let begin = |waiting| {
            tokio::spawn(Appender::new(redis.clone(), partition).run(waiting));
        };
        let ended = || StorageError::new("the task that appends has ended");
        self.sender(partition, begin).send(append).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Returns the way to the task of a partition. Begins the task if there is none.
    fn sender(
        &self,
        partition: usize,
        begin: impl FnOnce(mpsc::Receiver<Append>),
    ) -> mpsc::Sender<Append> {
        // Nothing panics while it is locked.
        let mut sender = self.0[partition].lock().unwrap_or_else(PoisonError::into_inner);
        match &*sender {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (new, waiting) = mpsc::channel(WAITING);
                begin(waiting);
                sender.insert(new).clone()
            }
        }
    }
}

/// Appends the check-ins of one partition.
struct Appender {
    redis: Connection,
    /// The first keys of the script.
    names: [String; 3],
    /// The numbers of partitions and of this partition.
    partitions: [String; 2],
    /// Where the log ended after the last run, as arguments of the script.
    end: [String; 3],
    /// Whether keys of older versions must be considered.
    has_old: bool,
}

impl Appender {
    fn new(redis: Connection, partition: usize) -> Self {
        let keys = &redis.keys;
        let names = [keys.log(partition), keys.checkpoint(partition), keys.times(partition)];
        let partitions = [keys.partitions(), partition].map(|number| number.to_string());
        Self { redis, names, partitions, end: end_of_log(-1, CheckinId::MIN), has_old: true }
    }

    /// Runs until nobody can append any more.
    async fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, AT_ONCE).await > 0 {
            loop {
                // The others' requests have been given up.
                batch.retain(|append: &Append| !append.answer.is_closed());
                if batch.is_empty() {
                    break;
                }
                let Err(outage) = self.append(&mut batch).await else { continue };
                // Each of those that wait already would only wait for the same error.
                batch.extend(std::iter::from_fn(|| waiting.try_recv().ok()).take(WAITING));
                for append in batch.drain(..) {
                    // The request may be gone.
                    let _ = append.answer.send(Err(outage.clone()));
                }
            }
        }
    }

    /// Appends those at the front that have the same limits, and answers those that are done. Returns an
    /// error and answers none if the store is unavailable.
    async fn append(&mut self, batch: &mut Vec<Append>) -> Result<()> {
        let alike = batch.iter().take_while(|append| append.admission == batch[0].admission);
        let alike = alike.count();
        let results = match self.store(&batch[..alike]).await {
            Ok(results) => results,
            Err(error) if error.is_logged() => return Err(error),
            // The error is that of the first, and none of the others is appended.
            Err(error) => vec![Err(error)],
        };
        for (append, result) in batch.drain(..results.len()).zip(results) {
            let _ = append.answer.send(result);
        }
        Ok(())
    }

    /// Runs the script. Returns the results of the first of these check-ins, at least of one.
    async fn store(&mut self, batch: &[Append]) -> Result<Vec<Result<Accepted>>> {
        let Admission { duplicate_window, max_backlog, max_length } = batch[0].admission;
        let limits = [
            milliseconds(duplicate_window),
            milliseconds(IDEMPOTENCY_TTL),
            max_backlog.to_string(),
            max_length.to_string(),
        ];
        let old = |append: &Append| Some(append.key.as_ref()?.old(&self.redis.keys));
        let old: Vec<_> =
            batch.iter().map(|append| self.has_old.then(|| old(append)).flatten()).collect();
        // A marker, an old key and two hashes.
        let mut names: Vec<&[u8]> = Vec::with_capacity(self.names.len() + 4 * batch.len());
        names.extend(self.names.iter().map(String::as_bytes));
        for (Append { recent, .. }, old) in batch.iter().zip(&old) {
            names.extend(recent.iter().chain(old).map(String::as_bytes));
        }
        let strings = (names.len() - self.names.len()).to_string();
        let has_old = if self.has_old { "1" } else { "0" };
        let settings = limits.iter().chain(&self.partitions).chain(&self.end);
        let settings = settings.chain([&strings]).map(String::as_str).chain([has_old]);
        let mut words: Vec<&[u8]> = Vec::with_capacity(SETTINGS + WORDS * batch.len());
        words.extend(settings.map(str::as_bytes));
        for Append { words: checkin, key, .. } in batch {
            words.extend(checkin.iter().map(String::as_bytes));
            words.push(key.as_ref().map_or(b"", |key| &key.digest));
            let hashes = key.iter().flat_map(|key| &key.hashes);
            names.extend(hashes.map(String::as_bytes));
        }
        let script = &self.redis.scripts.append;
        let replies = self.redis.writes.run(script, &names, &words).await.map_err(failed)?;
        let mut results = array(replies)?.into_iter();
        let length = number(results.next().unwrap_or(Reply::Nil))?;
        self.has_old = number(results.next().unwrap_or(Reply::Nil))? == 1;
        if results.len() == 0 || results.len() > batch.len() {
            return Err(unexpected("a result for each check-in"));
        }
        let results: Vec<_> = results.map(|result| accepted(&text(result)?)).collect();
        let last = results.iter().rev().find_map(|result| match result {
            Ok(Accepted::Stored(id)) => Some(*id),
            _ => None,
        });
        if let Some(last) = last {
            self.end = end_of_log(length, last);
        }
        Ok(results)
    }
}

/// Returns a check-in as arguments of the script.
fn words(checkin: &NewCheckin) -> [String; 4] {
    let NewCheckin { user, location, stars, comment, .. } = checkin;
    let comment = comment.as_ref().map_or("", Comment::as_str).to_owned();
    let [user, location] = [user.get(), location.get()].map(|id| id.to_string());
    [user, location, stars.get().to_string(), comment]
}

/// Returns the length of a log and its last id as arguments of the script.
fn end_of_log(length: i64, CheckinId { ms, seq }: CheckinId) -> [String; 3] {
    [length.to_string(), ms.to_string(), seq.to_string()]
}

/// Reads a result of a script that appends.
pub(crate) fn accepted(result: &str) -> Result<Accepted> {
    let id = |id: &str| id.parse().map_err(|_| unexpected("the id of an entry"));
    match result {
        "duplicate" => Ok(Accepted::Duplicate),
        "reused" => Ok(Accepted::KeyReused),
        "behind" => Ok(Accepted::Behind),
        "used up" => Err(StorageError::new(UsedUp("the log"))),
        _ => match result.strip_prefix("replayed ") {
            Some(first) => id(first).map(Accepted::Replayed),
            None => id(result).map(Accepted::Stored),
        },
    }
}

/// Converts a duration. Redis accepts times to live of far more than a century.
pub(crate) fn milliseconds(duration: Duration) -> String {
    const CENTURY_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(duration.as_millis()).unwrap_or(CENTURY_MS).min(CENTURY_MS).to_string()
}
