//! Sends new check-ins to many listeners, with one reader of the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Checkin, CheckinId};
use crate::storage::{Log, LogPosition, StorageError};
use crate::telemetry::chain;

/// The maximum number of listeners in one process: as many as a service keeps connections open.
pub(crate) const MAX_CLIENTS: usize = 10_000;

/// The pauses of the reader after it found no entries, and after it found some.
const POLL: Duration = Duration::from_millis(200);
const POLL_BUSY: Duration = Duration::from_millis(20);

/// The number of check-ins that the shared reader reads at a time.
const PAGE: usize = 1000;

/// The number of check-ins that are read at once for one listener who is behind. They take about 30
/// KB until the client has read them.
const OWN_PAGE: usize = 100;

/// The maximum number of check-ins that a client may be behind the others before it is too slow.
const MAX_BEHIND: usize = 4096;

/// Sends the check-ins of the log to the listeners.
pub(crate) struct Feed {
    log: Arc<dyn Log>,
    write: Write,
    places: Arc<Semaphore>,
    sender: broadcast::Sender<FeedEntry>,
    /// The position up to which the log was sent; `None` while there are no listeners and no
    /// reader.
    /// Locked only while a page is sent or a listener subscribes, so that a new listener knows what
    /// will be sent.
    sent: Mutex<Option<LogPosition>>,
}

/// Serializes a check-in for clients.
type Write = fn(Checkin) -> String;

/// An entry of the log, written once for all.
#[derive(Clone, Debug)]
struct FeedEntry {
    partition: usize,
    id: CheckinId,
    text: Arc<str>,
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

/// A check-in, as it is sent to one client.
#[derive(Debug)]
pub(crate) struct News {
    /// The position of the client after this check-in.
    pub(crate) position: String,
    pub(crate) text: Arc<str>,
}

impl Feed {
    pub(crate) fn new(log: Arc<dyn Log>, write: Write, max_clients: usize) -> Arc<Self> {
        let (sender, _) = broadcast::channel(MAX_BEHIND);
        let places = Arc::new(Semaphore::new(max_clients));
        Arc::new(Self { log, write, places, sender, sent: Mutex::new(None) })
    }

    /// Starts listening after a position. Without one, or with one of a log with another number of
    /// partitions, listening starts at the end of the log.
    pub(crate) async fn listen(
        self: &Arc<Self>,
        after: Option<LogPosition>,
    ) -> Result<Listener, ListenError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ListenError::Full)?;
        let end = self.log.log_end().await?;
        let position = match after {
            // A log that lost its last entries continues from its current end.
            Some(after) if after.0.len() == end.0.len() => LogPosition(
                after.0.into_iter().zip(end.0).map(|(after, end)| after.min(end)).collect(),
            ),
            _ => end,
        };
        let feed = Arc::clone(self);
        Ok(Listener {
            feed,
            read: position.clone(),
            sent_to: position,
            waiting: VecDeque::new(),
            live: None,
            _place: place,
        })
    }

    /// Subscribes to the shared reader.
    fn join(self: &Arc<Self>, at: &LogPosition) -> Live {
        let mut sent = self.sent();
        let receiver = self.sender.subscribe();
        let from = match &*sent {
            Some(position) => position.clone(),
            None => {
                *sent = Some(at.clone());
                tokio::spawn(Arc::clone(self).read());
                at.clone()
            }
        };
        Live { receiver, from }
    }

    /// Reads the log while there are listeners.
    async fn read(self: Arc<Self>) {
        let mut was_unavailable = false;
        while let Some(mut position) = self.wanted() {
            let before = position.clone();
            let pause = match self.log.follow(&mut position, PAGE).await {
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
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns the position to read on from, or `None` if there are no listeners.
    fn wanted(&self) -> Option<LogPosition> {
        let mut sent = self.sent();
        if self.sender.receiver_count() == 0 {
            *sent = None;
        }
        sent.clone()
    }

    fn send(&self, page: Vec<(usize, Checkin)>, position: LogPosition) {
        let mut sent = self.sent();
        for (partition, checkin) in page {
            // There may be no listener any more.
            drop(self.sender.send(self.entry(partition, checkin)));
        }
        *sent = Some(position);
    }

    fn entry(&self, partition: usize, checkin: Checkin) -> FeedEntry {
        FeedEntry { partition, id: checkin.id, text: (self.write)(checkin).into() }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Option<LogPosition>> {
        // The position is valid after any step.
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Entries that were read and not sent yet.
    waiting: VecDeque<FeedEntry>,
    live: Option<Live>,
    _place: OwnedSemaphorePermit,
}

/// A subscription to the shared reader.
struct Live {
    receiver: broadcast::Receiver<FeedEntry>,
    /// Entries after this position are sent by the shared reader.
    from: LogPosition,
}

impl Listener {
    /// The position at which the listener begins.
    pub(crate) fn position(&self) -> String {
        self.sent_to.to_string()
    }

    /// Returns the next check-in, or `None` if the client was too slow or the store is unavailable:
    /// the client is to connect again.
    ///
    /// # Cancel safety
    ///
    /// No check-in is lost if the call is dropped.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                if let Some(news) = self.next_of(entry) {
                    return Some(news);
                }
                continue;
            }
            match &mut self.live {
                Some(live) if is_behind(&live.from, &self.read) => {
                    let entry = live.receiver.recv().await;
                    // Too far behind; reading the log would not help.
                    let Ok(entry) = entry.inspect_err(too_slow) else {
                        return None;
                    };
                    self.waiting.push_back(entry);
                }
                _ => self.read_on().await?,
            }
        }
    }

    /// Reads a page of the log, and subscribes to the shared reader when little is left of it.
    async fn read_on(&mut self) -> Option<()> {
        let mut read = self.read.clone();
        let page = self.feed.log.follow(&mut read, OWN_PAGE).await;
        let page =
            page.inspect_err(|_| tracing::debug!("a stream ends: the log cannot be read")).ok()?;
        let is_near_the_end = page.len() < OWN_PAGE / 2;
        let feed = &self.feed;
        self.waiting
            .extend(page.into_iter().map(|(partition, checkin)| feed.entry(partition, checkin)));
        self.read = read;
        if self.live.is_none() && is_near_the_end {
            self.live = Some(self.feed.join(&self.read));
        }
        Some(())
    }

    /// Returns the entry for the client, unless it was sent before.
    fn next_of(&mut self, entry: FeedEntry) -> Option<News> {
        let sent_to = self.sent_to.0.get_mut(entry.partition)?;
        if entry.id <= *sent_to {
            return None;
        }
        *sent_to = entry.id;
        Some(News { position: self.sent_to.to_string(), text: entry.text })
    }
}

/// Returns whether a position is not ahead of another one in any partition.
fn is_behind(position: &LogPosition, other: &LogPosition) -> bool {
    position.0.iter().zip(&other.0).all(|(one, other)| one <= other)
}

fn too_slow(error: &RecvError) {
    tracing::debug!(cause = %error, "a stream ends: its client is too slow");
}
