//! Counts the sessions that are alive, and a sample of them by their age.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_express_session::store::AccountStore;
use tower_express_session::{Error, SessionId};

use super::accounts::account_name;
use super::tasks::Tasks;

const MINUTES: u64 = 60;
const HOURS: u64 = 60 * MINUTES;
const DAYS: u64 = 24 * HOURS;

/// The ages below which sessions are counted together. A last group has those that are older.
pub(crate) const AGES: [Duration; 5] = [
    Duration::from_secs(5 * MINUTES),
    Duration::from_secs(HOURS),
    Duration::from_secs(6 * HOURS),
    Duration::from_secs(DAYS),
    Duration::from_secs(7 * DAYS),
];

/// The maximum time of a count. What it has found by then is a lower bound.
const LONGEST: Duration = Duration::from_secs(10);

/// The maximum number of sessions whose age is looked up, and how many of them at a time.
const MAX_SAMPLE: usize = 500;
const AT_ONCE: usize = 16;

/// The minimum time between two counts, and how many times as long as the last count took: so counting takes
/// at most a twentieth of the time, however many sessions there are.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_FACTOR: u32 = 20;

/// How long a request waits for the first count.
const PATIENCE: Duration = Duration::from_millis(500);

/// Counts the stored sessions while somebody asks for their number; clones share the result.
#[derive(Clone)]
pub(crate) struct SessionCensus {
    store: Arc<dyn AccountStore>,
    tasks: Tasks,
    latest: watch::Sender<Option<Counted>>,
    /// When the next count may begin; `None` before the first one. Locked for a few instructions.
    due: Arc<Mutex<Option<Instant>>>,
}

/// A count of the sessions.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) sessions: Sessions,
    pub(crate) at: Instant,
    /// Otherwise there are more: the count took too long.
    pub(crate) is_complete: bool,
}

/// The numbers of sessions that are alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sessions {
    pub(crate) alive: u64,
    pub(crate) logged_in: u64,
    /// Of a sample of those that are logged in, by the time since the login: below each of [`AGES`] but not below
    /// the one before, and last those that are older.
    pub(crate) by_age: [u64; AGES.len() + 1],
}

/// The logged-in sessions whose ages are looked up: the first ones that are visited, in no order that depends on
/// their age. Each with the name of its account.
type Sample = Vec<(SessionId, String)>;

/// What is read of a stored session.
#[derive(Deserialize)]
struct StoredSession {
    #[serde(rename = "cookie")]
    _cookie: IgnoredAny,
    user: Option<Value>,
}

impl SessionCensus {
    pub(crate) fn new(store: Arc<dyn AccountStore>, tasks: Tasks) -> Self {
        Self { store, tasks, latest: watch::Sender::new(None), due: Arc::default() }
    }

    /// Returns the latest count, and begins the next one if it is due. Returns `None` if the first count takes
    /// long or fails.
    ///
    /// # Cancel safety
    ///
    /// Counting continues if nobody waits for it any more.
    pub(crate) async fn latest(&self) -> Option<Counted> {
        self.begin_if_due();
        let mut latest = self.latest.subscribe();
        drop(timeout(PATIENCE, latest.wait_for(Option::is_some)).await);
        self.latest.borrow().clone()
    }

    fn begin_if_due(&self) {
        let (mut due, now) = (self.due(), Instant::now());
        if due.is_some_and(|due| now < due) {
            return;
        }
        // Until it has ended, no other count begins.
        *due = Some(now + LONGEST + PAUSE);
        drop(due);
        let census = self.clone();
        // If too many tasks run, there are more important ones.
        drop(self.tasks.spawn(async move { census.count().await }));
    }

    async fn count(&self) {
        let (at, mut sessions, mut sample) = (Instant::now(), Sessions::default(), Sample::new());
        let mut visit = |id: SessionId, value| sessions.add(id, value, &mut sample);
        let ended = timeout(LONGEST, self.store.each(&mut visit)).await;
        let is_complete = ended.is_ok();
        let counted = match ended.unwrap_or(Ok(())) {
            Ok(()) => self.add_ages(&mut sessions, sample).await,
            Err(error) => Err(error),
        };
        match counted {
            Ok(()) => drop(self.latest.send_replace(Some(Counted { sessions, at, is_complete }))),
            // The store logs its outages itself.
            Err(error) => tracing::debug!(%error, "cannot count the sessions"),
        }
        *self.due() = Some(Instant::now() + PAUSE.max(at.elapsed() * PAUSE_FACTOR));
    }

    /// Looks up when the sessions of a sample were opened. A session that an Express service opened may not be in the
    /// index of its account.
    async fn add_ages(&self, sessions: &mut Sessions, sample: Sample) -> Result<(), Error> {
        let opened = sample.into_iter().map(|(id, account)| async move {
            let indexed = self.store.indexed(&account).await?;
            let entry = indexed.into_iter().find(|entry| entry.id == id);
            Ok::<_, Error>(entry.map(|entry| entry.created_ms))
        });
        let opened = stream::iter(opened).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        sessions.add_opened(opened.into_iter().flatten(), now_ms());
        Ok(())
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Adds a stored value, if it is a session that can be read.
    fn add(&mut self, id: SessionId, value: impl AsRef<[u8]>, sample: &mut Sample) {
        let read = serde_json::from_slice(value.as_ref());
        let Ok(StoredSession { user, .. }) = read else { return };
        self.alive += 1;
        let Some(user) = user else { return };
        self.logged_in += 1;
        if sample.len() < MAX_SAMPLE
            && let Some(account) = user.as_str().and_then(account_name)
        {
            sample.push((id, account));
        }
    }

    /// Adds sessions that were opened at these times.
    fn add_opened(&mut self, opened_ms: impl Iterator<Item = u64>, now_ms: u64) {
        for opened_ms in opened_ms {
            let age = Duration::from_millis(now_ms.saturating_sub(opened_ms));
            self.by_age[AGES.iter().position(|limit| age < *limit).unwrap_or(AGES.len())] += 1;
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_and_the_logged_in_ones_sampled() {
        let (mut sessions, mut sample) = (Sessions::default(), Sample::new());
        for (id, value) in [
            ("one", r#"{"cookie":{"path":"/"},"user":"Al@Example.com"}"#),
            ("two", r#"{"cookie":{"path":"/"},"views":1}"#),
            ("three", "ciphertext"),
            ("four", r#"{"user":"al@example.com"}"#),
        ] {
            sessions.add(SessionId::from(id), value, &mut sample);
        }
        assert_eq!(sessions, Sessions { alive: 2, logged_in: 1, by_age: [0; 6] });
        assert_eq!(sample, [(SessionId::from("one"), "al@example.com".to_owned())]);
    }

    #[test]
    fn sessions_have_the_age_since_they_were_opened() {
        const NOW: u64 = 1_783_294_200_000;
        for (age, group) in [
            (0, 0),
            (299_999, 0),
            (300_000, 1),
            (3_600_000, 2),
            (7 * 86_400_000, 5),
            (700 * 86_400_000, 5),
        ] {
            let (mut sessions, mut by_age) = (Sessions::default(), [0; 6]);
            sessions.add_opened([NOW - age].into_iter(), NOW);
            by_age[group] = 1;
            assert_eq!(sessions.by_age, by_age, "{age}");
        }
        let mut ahead = Sessions::default();
        ahead.add_opened([NOW + 1000].into_iter(), NOW);
        assert_eq!(ahead.by_age, [1, 0, 0, 0, 0, 0], "another clock is ahead");
    }
}
