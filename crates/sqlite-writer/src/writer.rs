//! The thread that does all writes of a process.

use std::any::Any;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, kind};
use crate::readers::Readers;

/// The maximum number of queued writes. Further callers wait for a place, within the time limit of
/// a write.
pub(crate) const QUEUE: usize = 1024;

/// The maximum number of writes that share one commit, and so one sync of the disk.
const GROUP: usize = 128;

/// How long closing tries to move the write-ahead log into the file. Reads of other processes can
/// prevent it; the last process to close the file then moves the log.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// How long each of these attempts may wait for readers. An attempt holds the write lock.
const CHECKPOINT_ATTEMPT: Duration = Duration::from_millis(100);

/// A message to the writer's thread; `None` makes it close.
pub(crate) type Job = Option<Write>;

/// Work for the open transaction, and the way to its caller, who is answered after the commit.
pub(crate) struct Write {
    pub(crate) work: Work,
    pub(crate) answer: oneshot::Sender<Result<Value, Error>>,
}

/// The work of a read or of a write.
pub(crate) type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Value> + Send>;

/// The result of a work. Its type is erased so that the code that runs works is compiled once, and
/// not for each of them.
pub(crate) type Value = Box<dyn Any + Send>;

/// A handle on the writer's thread. Dropping it ends the thread.
pub(crate) struct Writer {
    thread: Option<JoinHandle<()>>,
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread, which closes `readers` when it ends.
    pub(crate) fn start(connection: Connection, readers: Arc<Readers>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let thread = thread.spawn(move || write_groups(connection, queue, &readers))?;
        Ok(Self { thread: Some(thread), jobs })
    }

    /// Returns a writer that accepts no jobs, for a database that is only read.
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
        // Sending must not block: other senders may be tasks of a runtime that runs on this thread.
        while let Err(TrySendError::Full(_)) = self.jobs.try_send(None) {
            thread::sleep(Duration::from_millis(1));
        }
        // If a write owned the last handle, this is the writer's thread, which cannot join itself.
        let thread = self.thread.take().filter(|of| of.thread().id() != thread::current().id());
        // An error means that the thread panicked: there is nothing left to do.
        drop(thread.map(JoinHandle::join));
    }
}

/// The main function of the writer's thread: runs until all handles are dropped, then closes the
/// file.
fn write_groups(connection: Connection, mut queue: mpsc::Receiver<Job>, readers: &Readers) {
    while let Some(first) = queue.blocking_recv() {
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(GROUP - 1);
        let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
        if jobs.iter().any(Option::is_none) {
            // Jobs that are already queued are still received.
            queue.close();
        }
        let jobs: Vec<Write> = jobs.into_iter().flatten().collect();
        if !jobs.is_empty() {
            write_group(&connection, jobs);
        }
    }
    readers.close();
    if let Err(cause) = empty_log(&connection) {
        tracing::warn!(%cause, "cannot move the write-ahead log into the database; the next start reads it");
    }
}

/// Moves the content of the write-ahead log into the file. SQLite does so itself when the last
/// connection is closed; but if several connections close at the same moment, SQLite may treat none
/// as the last.
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

fn write_group(connection: &Connection, writes: Vec<Write>) {
    // IMMEDIATE takes the write lock at once. Otherwise a transaction that reads first and then
    // writes fails without waiting if another process has written in between.
    if let Err(cause) = execute(connection, "BEGIN IMMEDIATE") {
        // Dropping a write makes its caller fail with `Unavailable`. No write may run outside a
        // transaction.
        return match kind(&cause) {
            ErrorKind::Unavailable => tracing::debug!(%cause, "cannot write to the database"),
            _ => tracing::error!(%cause, "cannot write to the database"),
        };
    }
    let results = writes.into_iter().filter_map(|Write { work, answer }| {
        // If an error of an earlier write, such as a full disk, has ended the transaction, or if the work
        // panics, the caller fails with `Unavailable`.
        let is_open = !connection.is_autocommit();
        let run = AssertUnwindSafe(|| in_savepoint(connection, work));
        let result = is_open.then(|| std::panic::catch_unwind(run).ok()).flatten();
        result.map(|result| (answer, result))
    });
    let results: Vec<_> = results.collect();
    let committed = execute(connection, "COMMIT");
    if let Err(cause) = &committed {
        if kind(cause) != ErrorKind::Unavailable {
            tracing::error!(%cause, "cannot commit to the database");
        }
        if !connection.is_autocommit() {
            drop(execute(connection, "ROLLBACK"));
        }
    }
    for (answer, result) in results {
        let result = match &committed {
            Ok(()) => result.map_err(Error::from),
            Err(cause) => Err(Error::new(kind(cause), cause.to_string())),
        };
        // Sending fails if the caller's future was dropped.
        drop(answer.send(result));
    }
}

/// Runs `work` in a savepoint: if it fails or panics, only its own changes are undone.
fn in_savepoint(connection: &Connection, work: Work) -> rusqlite::Result<Value> {
    let mut savepoint = Savepoint::begin(connection)?;
    let value = work(connection)?;
    savepoint.end()?;
    Ok(value)
}

/// A savepoint around a job. Its statements are prepared once and not, like those of
/// [`rusqlite::Savepoint`], with each use.
struct Savepoint<'a> {
    connection: &'a Connection,
    is_open: bool,
}

const BEGIN: &str = "SAVEPOINT job";
const RELEASE: &str = "RELEASE job";
const UNDO: &str = "ROLLBACK TO job";

impl<'a> Savepoint<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        execute(connection, BEGIN)?;
        Ok(Self { connection, is_open: true })
    }

    fn end(&mut self) -> rusqlite::Result<()> {
        execute(self.connection, RELEASE)?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // They fail if an error of the job has ended the whole transaction.
            drop(execute(self.connection, UNDO).and_then(|()| execute(self.connection, RELEASE)));
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
