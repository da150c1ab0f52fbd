//! Sends new check-ins to many listeners, with one reader of the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::named_checkins::{NamedCheckin, with_names};
use super::whereabouts::Whereabouts;
use crate::domain::{Checkin, CheckinId};
use crate::storage::{Log, LogPosition, StorageError, Users};
use crate::telemetry::chain;

/// The maximum number of listeners in one process: as many as a service keeps connections open.
pub(crate) const MAX_CLIENTS: usize = 10_000;

/// The pauses of the reader after it found no entries, and after it found some.
const POLL: Duration = Duration::from_millis(200);
const POLL_BUSY: Duration = Duration::from_millis(20);

/// The interval at which all listeners get a sign of life. One timer serves them all.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The number of check-ins that the shared reader reads at a time.
const PAGE: usize = 1000;

/// The number of check-ins that are read at once for one listener who is behind. They take about 40
/// KB until the client has read them.
const OWN_PAGE: usize = 100;

/// The maximum number of pages of hidden check-ins that are read to find a visible one.
const MAX_HIDDEN_PAGES: usize = 10;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// The maximum number of check-ins that a client may be behind the others before it is too slow.
const MAX_BEHIND: usize = 4096;

/// Sends the check-ins of the log to the listeners.
pub(crate) struct Feed {
    source: Source,
    write: Write,
    places: Arc<Semaphore>,
    metrics: FeedMetrics,
    /// The shared reader; `None` while there are no listeners.
    /// Locked only while a page is sent or a listener subscribes, so that a new listener knows what
    /// will be sent.
    reader: Mutex<Option<Reader>>,
}

/// Where the check-ins come from, with the names of their users.
pub(crate) struct Source {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) users: Arc<dyn Users>,
    pub(crate) whereabouts: Whereabouts,
}

/// Writes a check-in as the event for a client that has this position after it.
type Write = fn(&LogPosition, &NamedCheckin) -> Bytes;

/// Counts the listeners.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedMetrics {
    /// The number of listeners.
    pub(crate) open: Gauge,
    /// Counts those above the maximum number.
    pub(crate) refused: Counter,
}

/// What the shared reader has sent, and to whom.
struct Reader {
    sender: broadcast::Sender<Sent>,
    /// The position up to which the log was sent.
    position: LogPosition,
}

/// A message of the shared reader.
#[derive(Clone, Debug)]
enum Sent {
    Entry(Arc<FeedEntry>),
    KeepAlive,
}

/// An entry of the log.
#[derive(Debug)]
struct FeedEntry {
    partition: usize,
    checkin: NamedCheckin,
    /// The event as the shared reader wrote it, for the listeners with this position.
    event: Option<(LogPosition, Bytes)>,
}

/// The reason why a client cannot listen.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// The maximum number of clients is reached.
    Full,
    /// The store failed.
    Storage(StorageError),
}

impl From<StorageError> for ListenError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// What a listener gets.
#[derive(Debug)]
pub(crate) enum News {
    /// The event of a check-in. All listeners share its bytes.
    Checkin(Bytes),
    /// A sign of life.
    KeepAlive,
}

impl Feed {
    pub(crate) fn new(
        source: Source,
        write: Write,
        max_clients: usize,
        metrics: FeedMetrics,
    ) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(max_clients));
        Arc::new(Self { source, write, places, metrics, reader: Mutex::new(None) })
    }

    /// Starts listening after a position. Without one, or with one of a log with another number of
    /// partitions, listening starts at the end of the log.
    pub(crate) async fn listen(
        self: &Arc<Self>,
        after: Option<LogPosition>,
    ) -> Result<Listener, ListenError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.metrics.refused.inc();
            ListenError::Full
        })?;
        let end = self.source.log.log_end().await?;
        let (read, shown) = match after.filter(|after| after.0.len() == end.0.len()) {
            Some(after) if is_behind(&after, &end) => (after.clone(), after),
            after => {
                let visible = self.source.last_visible(&end).await?;
                // A log that lost its last entries continues from its current end.
                let after = after.unwrap_or_else(|| end.clone()).0;
                let begin = |(after, end): (CheckinId, CheckinId)| match after < end {
                    true => (after, after),
                    false => (end, visible),
                };
                let (read, shown) = after.into_iter().zip(end.0).map(begin).unzip();
                (LogPosition(read), LogPosition(shown))
            }
        };
        let feed = Arc::clone(self);
        feed.metrics.open.inc();
        Ok(Listener {
            feed,
            sent_to: read.clone(),
            read,
            shown,
            waiting: VecDeque::new(),
            live: None,
            caught_up: 0,
            _place: place,
        })
    }

    /// Subscribes to the shared reader, which starts if there is none.
    fn join(self: &Arc<Self>, at: &LogPosition) -> Live {
        let mut reader = self.reader();
        if let Some(Reader { sender, position }) = &*reader {
            return Live { receiver: sender.subscribe(), from: position.clone() };
        }
        let (sender, receiver) = broadcast::channel(MAX_BEHIND);
        *reader = Some(Reader { sender, position: at.clone() });
        tokio::spawn(Arc::clone(self).read());
        Live { receiver, from: at.clone() }
    }

    /// Reads the log while there are listeners.
    async fn read(self: Arc<Self>) {
        let mut was_unavailable = false;
        let mut keep_alive_at = Instant::now() + KEEP_ALIVE;
        while let Some(mut position) = self.wanted() {
            let before = position.clone();
            let pause = match self.source.follow(&mut position, PAGE).await {
                Ok(page) => {
                    was_unavailable = false;
                    let has_news = position != before;
                    self.send(page, position);
                    if has_news { POLL_BUSY } else { POLL }
                }
                Err(cause) => {
                    // Logged once, not five times a second.
                    if !std::mem::replace(&mut was_unavailable, true) && !cause.is_logged() {
                        tracing::error!(cause = %chain(&cause), "cannot read the log");
                    }
                    POLL
                }
            };
            if keep_alive_at <= Instant::now() {
                self.keep_alive();
                keep_alive_at = Instant::now() + KEEP_ALIVE;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the position to read on from, or `None` if there are no listeners.
    fn wanted(&self) -> Option<LogPosition> {
        let mut reader = self.reader();
        reader.take_if(|reader| reader.sender.receiver_count() == 0);
        reader.as_ref().map(|reader| reader.position.clone())
    }

    /// Sends a page of the log, up to this position.
    fn send(&self, page: Vec<(usize, NamedCheckin)>, end: LogPosition) {
        let mut reader = self.reader();
        let Some(Reader { sender, position }) = &mut *reader else { return };
        for (partition, checkin) in page {
            if let Some(at) = position.0.get_mut(partition) {
                *at = checkin.checkin.id;
            }
            let event = Some((position.clone(), (self.write)(position, &checkin)));
            // There may be no listener any more.
            drop(sender.send(Sent::Entry(Arc::new(FeedEntry { partition, checkin, event }))));
        }
        *position = end;
    }

    fn keep_alive(&self) {
        if let Some(reader) = &*self.reader() {
            drop(reader.sender.send(Sent::KeepAlive));
        }
    }

    fn reader(&self) -> MutexGuard<'_, Option<Reader>> {
        // The value is valid after any step.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Reads the entries after a position that all listeners may see, and moves it.
    async fn follow(
        &self,
        position: &mut LogPosition,
        limit: usize,
    ) -> Result<Vec<(usize, NamedCheckin)>, StorageError> {
        let mut read = position.clone();
        let mut page = self.log.follow(&mut read, limit).await?;
        let users = page.iter().map(|(_, checkin)| checkin.user);
        let hidden = self.whereabouts.hidden_from(None, users).await?;
        page.retain(|(_, checkin)| !hidden.has(checkin.user));
        let (partitions, checkins): (Vec<_>, Vec<_>) = page.into_iter().unzip();
        let named = with_names(&*self.users, checkins).await?;
        *position = read;
        Ok(partitions.into_iter().zip(named).collect())
    }

    /// Returns the id of the last check-in up to `end` that all listeners may see. The id of a hidden one would
    /// tell when somebody checked in. If all of the last ones are hidden, it returns the hour of the oldest of
    /// them.
    async fn last_visible(&self, end: &LogPosition) -> Result<CheckinId, StorageError> {
        let last = end.0.iter().max().copied().unwrap_or(CheckinId::MIN);
        let mut before = CheckinId::MAX;
        for _ in 0..MAX_HIDDEN_PAGES {
            let page = self.log.latest_checkins(before, OWN_PAGE).await?;
            let users = page.iter().map(|checkin| checkin.user);
            let hidden = self.whereabouts.hidden_from(None, users).await?;
            let is_visible = |it: &&Checkin| it.id <= last && !hidden.has(it.user);
            if let Some(checkin) = page.iter().find(is_visible) {
                return Ok(checkin.id);
            }
            let Some(oldest) = page.last() else { return Ok(CheckinId::MIN) };
            before = oldest.id;
        }
        Ok(CheckinId { ms: before.ms - before.ms % HOUR_MS, seq: 0 })
    }
}

/// A listener. It first reads the log from its own position. Near the end it subscribes to the
/// shared reader.
pub(crate) struct Listener {
    feed: Arc<Feed>,
    /// The position up to which the log was read for this listener.
    read: LogPosition,
    /// The position up to which entries were sent to this listener.
    sent_to: LogPosition,
    /// The position that the client is told. It differs from the one before until a first entry is sent, because
    /// the last entry of the log may be hidden.
    shown: LogPosition,
    /// Entries that were read and not sent yet.
    waiting: VecDeque<Arc<FeedEntry>>,
    live: Option<Live>,
    /// The number of entries that were read for this listener alone.
    caught_up: usize,
    _place: OwnedSemaphorePermit,
}

/// A subscription to the shared reader.
struct Live {
    receiver: broadcast::Receiver<Sent>,
    /// Entries after this position are sent by the shared reader.
    from: LogPosition,
}

impl Listener {
    /// The position at which the listener begins.
    pub(crate) fn position(&self) -> String {
        self.shown.to_string()
    }

    /// The number of check-ins from before the listener came to the end of the log.
    pub(crate) fn caught_up(&self) -> usize {
        self.caught_up
    }

    /// Returns the next check-in or sign of life, or `None` if the client was too slow or the store is unavailable:
    /// the client is to connect again.
    ///
    /// # Cancel safety
    ///
    /// No check-in is lost if the call is dropped.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                if let Some(event) = self.event_of(&entry) {
                    return Some(News::Checkin(event));
                }
                continue;
            }
            match &mut self.live {
                Some(live) if is_behind(&live.from, &self.read) => {
                    // Too far behind; reading the log would not help.
                    match live.receiver.recv().await.inspect_err(too_slow).ok()? {
                        Sent::Entry(entry) => self.waiting.push_back(entry),
                        Sent::KeepAlive => return Some(News::KeepAlive),
                    }
                }
                _ => self.read_on().await?,
            }
        }
    }

    /// Reads a page of the log, and subscribes to the shared reader when little is left of it.
    ///
    /// A task of its own reads: the listener is polled only while its client reads, and must not hold a
    /// connection or a lock of the store for as long as the client delays.
    async fn read_on(&mut self) -> Option<()> {
        let (feed, mut read) = (Arc::clone(&self.feed), self.read.clone());
        let page =
            tokio::spawn(async move { (feed.source.follow(&mut read, OWN_PAGE).await, read) });
        let (page, read) = AbortOnDropHandle::new(page).await.ok()?;
        let page =
            page.inspect_err(|_| tracing::debug!("a stream ends: the log cannot be read")).ok()?;
        let is_near_the_end = page.len() < OWN_PAGE / 2;
        self.caught_up += page.len();
        let entry = |(partition, checkin)| Arc::new(FeedEntry { partition, checkin, event: None });
        self.waiting.extend(page.into_iter().map(entry));
        let has_more = read != self.read;
        self.read = read;
        match &mut self.live {
            // The log lost its last entries: all that the shared reader had sent before.
            Some(live) if !has_more => live.from = self.read.clone(),
            None if is_near_the_end => self.live = Some(self.feed.join(&self.read)),
            _ => {}
        }
        Some(())
    }

    /// Returns the event of an entry, unless it was sent before.
    fn event_of(&mut self, entry: &FeedEntry) -> Option<Bytes> {
        let FeedEntry { partition, checkin, event } = entry;
        let (id, sent_to) = (checkin.checkin.id, self.sent_to.0.get_mut(*partition)?);
        if id <= *sent_to {
            return None;
        }
        *sent_to = id;
        *self.shown.0.get_mut(*partition)? = id;
        Some(match event {
            Some((position, event)) if *position == self.shown => event.clone(),
            _ => (self.feed.write)(&self.shown, checkin),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.feed.metrics.open.dec();
    }
}

/// Returns whether a position is not ahead of another one in any partition.
fn is_behind(position: &LogPosition, other: &LogPosition) -> bool {
    position.0.iter().zip(&other.0).all(|(one, other)| one <= other)
}

fn too_slow(error: &RecvError) {
    tracing::debug!(cause = %error, "a stream ends: its client is too slow");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::ops::RangeInclusive;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use async_trait::async_trait;
    use checkin_sqlite::SqliteStorage;
    use sqlite_writer::Database;

    use super::*;
    use crate::domain::{NewCheckin, UserId};
    use crate::storage::{Accepted, Admission, Audience, HistoryPosition, Privacy, Result};

    /// A log without entries. Once there was one, with this id.
    struct Empty {
        end: Mutex<CheckinId>,
        reads: AtomicUsize,
    }

    fn empty_log() -> Arc<Empty> {
        Arc::new(Empty { end: Mutex::new(CheckinId::MIN), reads: AtomicUsize::new(0) })
    }

    #[async_trait]
    impl Log for Empty {
        async fn append(&self, _: NewCheckin, _: Option<&str>, _: Admission) -> Result<Accepted> {
            Ok(Accepted::Behind)
        }

        async fn checkins_between(
            &self,
            _: RangeInclusive<u64>,
            _: Option<HistoryPosition>,
            _: usize,
        ) -> Result<Vec<Checkin>> {
            Ok(Vec::new())
        }

        async fn latest_checkins(&self, _: CheckinId, _: usize) -> Result<Vec<Checkin>> {
            Ok(Vec::new())
        }

        async fn log_end(&self) -> Result<LogPosition> {
            Ok(LogPosition(vec![*self.end.lock().unwrap()]))
        }

        async fn follow(&self, _: &mut LogPosition, _: usize) -> Result<Vec<(usize, Checkin)>> {
            let reads = self.reads.fetch_add(1, Relaxed);
            assert!(reads < 10_000, "the log is read without a pause");
            Ok(Vec::new())
        }
    }

    /// Everybody shows where they are.
    struct Open;

    #[async_trait]
    impl Privacy for Open {
        async fn audience(&self, _: UserId) -> Result<Audience> {
            Ok(Audience::Users)
        }

        async fn set_audience(&self, _: UserId, _: Audience) -> Result<()> {
            Ok(())
        }

        async fn hidden_among(&self, _: &[UserId]) -> Result<HashSet<UserId>> {
            Ok(HashSet::new())
        }

        async fn mark_new(&self, _: UserId, _: Duration) -> Result<()> {
            Ok(())
        }

        async fn is_new(&self, _: UserId) -> Result<bool> {
            Ok(false)
        }
    }

    /// A feed of a log without users. From here on, the time is the test's.
    async fn feed(log: &Arc<Empty>, max_clients: usize) -> Arc<Feed> {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path().join("checkin.db")).unwrap();
        let users = Arc::new(SqliteStorage::open(database).await.unwrap());
        tokio::time::pause();
        let (log, whereabouts) = (Arc::clone(log) as _, Whereabouts::new(Arc::new(Open)));
        let source = Source { log, users, whereabouts };
        Feed::new(source, |_, _| Bytes::new(), max_clients, FeedMetrics::default())
    }

    async fn expect_sign_of_life(listener: &mut Listener) {
        let before = Instant::now();
        assert!(matches!(listener.next().await, Some(News::KeepAlive)));
        let waited = before.elapsed();
        assert!(waited < KEEP_ALIVE + 2 * POLL, "{waited:?}");
    }

    #[tokio::test]
    async fn a_listener_without_news_gets_signs_of_life() {
        let feed = feed(&empty_log(), 1).await;
        let mut listener = feed.listen(None).await.unwrap();
        for _ in 0..3 {
            expect_sign_of_life(&mut listener).await;
        }
    }

    #[tokio::test]
    async fn a_log_that_lost_its_last_entries_is_not_read_without_a_pause() {
        let log = empty_log();
        *log.end.lock().unwrap() = CheckinId { ms: 10, seq: 0 };
        let feed = feed(&log, 2).await;
        expect_sign_of_life(&mut feed.listen(None).await.unwrap()).await;
        let mut early = feed.listen(None).await.unwrap();
        expect_sign_of_life(&mut early).await;
        *log.end.lock().unwrap() = CheckinId::MIN;
        expect_sign_of_life(&mut feed.listen(None).await.unwrap()).await;
    }
}
