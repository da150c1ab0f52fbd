//! What happens right now, for many at once: one reader of the log, however many listen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::{Checkin, CheckinId};
use crate::storage::{CheckinLog, LogPosition, StorageError};
use crate::telemetry::chain;

/// Who listens at a time in one process: as many as a service keeps connections open.
pub(crate) const MAX_CLIENTS: usize = 10_000;

/// How long to wait after the log had nothing new, and after it had.
const POLL: Duration = Duration::from_millis(200);
const POLL_BUSY: Duration = Duration::from_millis(20);

/// Check-ins read at a time for all.
const PAGE: usize = 1000;

/// Check-ins read at a time for one listener who is behind. They are held, in some 30 KB, until the
/// client has read them.
const OWN_PAGE: usize = 100;

/// A client that is so many check-ins behind the others is too slow.
const MAX_BEHIND: usize = 4096;

/// Hands the check-ins of the log to who listens.
pub(crate) struct Feed {
    log: Arc<dyn CheckinLog>,
    write: Write,
    places: Arc<Semaphore>,
    sender: broadcast::Sender<Entry>,
    /// How far the reader has sent the log; none while nobody listens and there is no reader. Held
    /// for the moment of sending a page and of joining, so that who joins knows what will come.
    sent: Mutex<Option<LogPosition>>,
}

/// Writes a check-in as clients read it.
type Write = fn(Checkin) -> String;

/// An entry of the log, written once for all.
#[derive(Clone, Debug)]
struct Entry {
    partition: usize,
    id: CheckinId,
    text: Arc<str>,
}

/// Why nobody can listen.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// As many as the process takes listen already.
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
    /// Where that client has read to.
    pub(crate) position: String,
    pub(crate) text: Arc<str>,
}

impl Feed {
    pub(crate) fn new(log: Arc<dyn CheckinLog>, write: Write, max_clients: usize) -> Arc<Self> {
        let (sender, _) = broadcast::channel(MAX_BEHIND);
        let places = Arc::new(Semaphore::new(max_clients));
        Arc::new(Self { log, write, places, sender, sent: Mutex::new(None) })
    }

    /// Starts listening behind a position; without one, or with one of a log with another number of
    /// partitions, at the end of the log.
    pub(crate) async fn listen(
        self: &Arc<Self>,
        after: Option<LogPosition>,
    ) -> Result<Listener, ListenError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| ListenError::Full)?;
        let end = self.log.log_end().await?;
        let position = match after {
            // A log that lost its end goes on where it ends now.
            Some(after) if after.0.len() == end.0.len() => LogPosition(
                after.0.into_iter().zip(end.0).map(|(after, end)| after.min(end)).collect(),
            ),
            _ => end,
        };
        let feed = Arc::clone(self);
        Ok(Listener {
            feed,
            read: position.clone(),
            told: position,
            waiting: VecDeque::new(),
            live: None,
            _place: place,
        })
    }

    /// Joins who listens already. Answers how far the reader had sent: all behind that will come.
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

    /// Reads the log as long as somebody listens.
    async fn read(self: Arc<Self>) {
        let mut is_away = false;
        while let Some(mut position) = self.wanted() {
            let before = position.clone();
            let pause = match self.log.follow(&mut position, PAGE).await {
                Ok(page) => {
                    is_away = false;
                    let has_news = position != before;
                    self.send(page, position);
                    if has_news { POLL_BUSY } else { POLL }
                }
                Err(cause) => {
                    // Once, and not five times a second.
                    if !std::mem::replace(&mut is_away, true) && !cause.is_logged() {
                        tracing::error!(cause = %chain(&cause), "cannot read the log");
                    }
                    POLL
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Where to read on; none if nobody listens any more.
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
            // Nobody may be listening any more.
            drop(self.sender.send(self.entry(partition, checkin)));
        }
        *sent = Some(position);
    }

    fn entry(&self, partition: usize, checkin: Checkin) -> Entry {
        Entry { partition, id: checkin.id, text: (self.write)(checkin).into() }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Option<LogPosition>> {
        // A whole position after any step.
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens: first to the log from their position on, and when they are nearly at its end,
/// to what all are sent.
pub(crate) struct Listener {
    feed: Arc<Feed>,
    /// How far the log was read for them.
    read: LogPosition,
    /// How far they were told of it.
    told: LogPosition,
    /// Read, and not told yet.
    waiting: VecDeque<Entry>,
    live: Option<Live>,
    _place: OwnedSemaphorePermit,
}

/// What all are sent.
struct Live {
    receiver: broadcast::Receiver<Entry>,
    /// Everything behind this position comes.
    from: LogPosition,
}

impl Listener {
    /// Where they begin.
    pub(crate) fn position(&self) -> String {
        self.told.to_string()
    }

    /// The next check-in; none when they were too slow, or the store is away: then they come again.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped loses nothing.
    pub(crate) async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(entry) = self.waiting.pop_front() {
                if let Some(news) = self.tell(entry) {
                    return Some(news);
                }
                continue;
            }
            match &mut self.live {
                Some(live) if is_behind(&live.from, &self.read) => {
                    let entry = live.receiver.recv().await;
                    // Too far behind, and no page of the log would help.
                    let Ok(entry) = entry.inspect_err(too_slow) else {
                        return None;
                    };
                    self.waiting.push_back(entry);
                }
                _ => self.read_on().await?,
            }
        }
    }

    /// Reads a page of the log, and joins who listens when little is left of it.
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

    /// Unless they know it already.
    fn tell(&mut self, entry: Entry) -> Option<News> {
        let told = self.told.0.get_mut(entry.partition)?;
        if entry.id <= *told {
            return None;
        }
        *told = entry.id;
        Some(News { position: self.told.to_string(), text: entry.text })
    }
}

/// Whether a position is nowhere ahead of another one.
fn is_behind(position: &LogPosition, other: &LogPosition) -> bool {
    position.0.iter().zip(&other.0).all(|(one, other)| one <= other)
}

fn too_slow(error: &RecvError) {
    tracing::debug!(cause = %error, "a stream ends: its client is too slow");
}
