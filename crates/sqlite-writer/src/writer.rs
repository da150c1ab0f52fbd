//! The thread through which all writes of a process go.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::error::{ErrorKind, kind};
use crate::readers::Readers;

/// Writes that wait for the writer. Beyond it callers wait, and run into the time limit of a write.
pub(crate) const QUEUE: usize = 1024;

/// Writes that share one commit, and so one sync of the disk.
const GROUP: usize = 128;

/// How long closing tries to move the write-ahead log into the file. What keeps it from that are
/// other processes that read; the last one of them to close moves it.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// How long each of these attempts, which hold the write lock, may wait for readers.
const CHECKPOINT_ATTEMPT: Duration = Duration::from_millis(100);

/// What the writer's thread is sent; `None` makes it close.
pub(crate) type Job = Option<Work>;

/// Does its work inside the open transaction, and gives what is to be done after the commit.
pub(crate) type Work = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;
pub(crate) type Answer = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

/// The writer's thread, which ends when this is dropped.
pub(crate) struct Writer {
    thread: Option<JoinHandle<()>>,
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread, which closes `readers` in the end.
    pub(crate) fn start(connection: Connection, readers: Arc<Readers>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let thread = thread.spawn(move || write_groups(connection, queue, &readers))?;
        Ok(Self { thread: Some(thread), jobs })
    }

    /// A writer that takes no jobs, of a database that is only read.
    pub(crate) fn none() -> Self {
        let (jobs, _) = mpsc::channel(1);
        Self { thread: None, jobs }
    }

    pub(crate) fn jobs(&self) -> mpsc::Sender<Job> {
        self.jobs.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Other senders may be in tasks of a runtime that this thread runs: it does not wait for them.
        while let Err(TrySendError::Full(_)) = self.jobs.try_send(None) {
            thread::sleep(Duration::from_millis(1));
        }
        // A write may have owned the last handle: a thread cannot wait for itself.
        let thread = self.thread.take().filter(|of| of.thread().id() != thread::current().id());
        // An error means that it panicked: then nothing is left to be done.
        drop(thread.map(JoinHandle::join));
    }
}

/// The writer's thread: runs until all handles are gone, and closes the file.
fn write_groups(mut connection: Connection, mut queue: mpsc::Receiver<Job>, readers: &Readers) {
    while let Some(first) = queue.blocking_recv() {
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(GROUP - 1);
        let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
        if jobs.iter().any(Option::is_none) {
            // What waits already is still received.
            queue.close();
        }
        let jobs: Vec<Work> = jobs.into_iter().flatten().collect();
        if !jobs.is_empty() {
            write_group(&mut connection, jobs);
        }
    }
    readers.close();
    if let Err(cause) = empty_log(&connection) {
        tracing::warn!(%cause, "cannot move the write-ahead log into the database; the next start reads it");
    }
}

/// Moves what the write-ahead log holds into the file. SQLite does so itself when the last of all
/// connections is closed, but of several that close at the same moment none may be the last.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(CHECKPOINT_ATTEMPT)?;
    let deadline = Instant::now() + CHECKPOINT;
    let is_busy =
        || connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    while is_busy()? && Instant::now() < deadline {
        thread::sleep(CHECKPOINT_ATTEMPT);
    }
    Ok(())
}

fn write_group(connection: &mut Connection, jobs: Vec<Work>) {
    // IMMEDIATE takes the write lock at once: a transaction that reads first and then wants to
    // write is refused without a wait when another process wrote in between.
    if let Err(cause) = connection.execute_batch("BEGIN IMMEDIATE") {
        // Dropped jobs answer "unavailable". Outside a transaction none of them may run.
        return match kind(&cause) {
            ErrorKind::Unavailable => tracing::debug!(%cause, "cannot write to the database"),
            _ => tracing::error!(%cause, "cannot write to the database"),
        };
    }
    let answers: Vec<Answer> = jobs.into_iter().filter_map(|job| run(connection, job)).collect();
    let committed = connection.execute_batch("COMMIT");
    if let Err(cause) = &committed {
        if kind(cause) != ErrorKind::Unavailable {
            tracing::error!(%cause, "cannot commit to the database");
        }
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
    }
    for answer in answers {
        answer(committed.as_ref().map(|&()| ()));
    }
}

/// A job that panics is undone by its savepoint, and must not take the writer with it. After a job that
/// ended the transaction, as a full disk may, the others are dropped and answer "unavailable".
fn run(connection: &mut Connection, job: Work) -> Option<Answer> {
    if connection.is_autocommit() {
        return None;
    }
    std::panic::catch_unwind(AssertUnwindSafe(|| job(connection))).ok()
}

/// Runs `work` so that, if it fails, its own changes alone are undone.
pub(crate) fn in_savepoint<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let savepoint = connection.savepoint()?;
    let value = work(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}
