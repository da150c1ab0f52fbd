//! The thread that does all writes of a process.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{MAX_WAIT, wait_for_locks};
use crate::error::{Error, ErrorKind, kind};
use crate::files::{Files, Gone, LastWrite};
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
    pub(crate) answer: Answer,
}

type Answer = oneshot::Sender<Result<Value, Error>>;

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
    pub(crate) fn start(
        connection: Connection,
        files: Files,
        last_write: Arc<LastWrite>,
        readers: Arc<Readers>,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let group = GroupWriter { connection, files, last_write };
        let thread = thread.spawn(move || write_groups(group, queue, &readers))?;
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
fn write_groups(mut writer: GroupWriter, mut queue: mpsc::Receiver<Job>, readers: &Readers) {
    while let Some(first) = queue.blocking_recv() {
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(GROUP - 1);
        let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
        if jobs.iter().any(Option::is_none) {
            // Jobs that are already queued are still received.
            queue.close();
        }
        let jobs: Vec<Write> = jobs.into_iter().flatten().collect();
        if !jobs.is_empty() {
            writer.write(jobs);
        }
    }
    readers.close();
    if let Err(cause) = empty_log(&writer.connection) {
        tracing::warn!(%cause, "cannot move the write-ahead log into the database; the next start reads it");
    }
}

/// Moves the content of the write-ahead log into the file. SQLite does so itself when the last
/// connection is closed; but if several connections close at the same moment, SQLite may treat none
/// as the last.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(CHECKPOINT_ATTEMPT)?;
    let deadline = Instant::now() + CHECKPOINT;
    while truncate_log(connection)? && Instant::now() < deadline {
        thread::sleep(CHECKPOINT_ATTEMPT);
    }
    Ok(())
}

/// Moves the write-ahead log into the file and empties it. Returns whether a reader or a writer prevented that.
fn truncate_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

/// What the writer's thread needs for a group of writes.
struct GroupWriter {
    connection: Connection,
    files: Files,
    last_write: Arc<LastWrite>,
}

impl GroupWriter {
    /// Runs the writes in one transaction, and answers their callers.
    fn write(&mut self, writes: Vec<Write>) {
        if let Err(gone) = self.files.check() {
            return self.refuse(writes, &gone);
        }
        // IMMEDIATE takes the write lock at once. Otherwise a transaction that reads first and then
        // writes fails without waiting if another process has written in between.
        if let Err(cause) = execute(&self.connection, "BEGIN IMMEDIATE") {
            match kind(&cause) {
                ErrorKind::Unavailable => tracing::debug!(%cause, "cannot write to the database"),
                _ => tracing::error!(%cause, "cannot write to the database"),
            }
            // No write may run outside a transaction.
            self.last_write.failed(&cause);
            return;
        }
        let changes = self.connection.total_changes();
        let results: Vec<_> = writes.into_iter().filter_map(|write| self.run(write)).collect();
        // Before or after the commit: either way, nobody may rely on it.
        let committed = self.commit().map_err(Failure::Sqlite);
        let committed = committed.and_then(|()| self.files.check().map_err(Failure::Gone));
        self.files.report_long_log();
        if self.remember(&committed, &results, changes) {
            self.make_room();
        }
        for (answer, result) in results {
            let result = match &committed {
                Ok(()) => result.map_err(Error::from),
                Err(failure) => Err(failure.error()),
            };
            // Sending fails if the caller's future was dropped.
            drop(answer.send(result));
        }
    }

    fn refuse(&self, writes: Vec<Write>, gone: &Gone) {
        self.last_write.failed(gone);
        for Write { answer, .. } in writes {
            drop(answer.send(Err(gone.into())));
        }
    }

    /// Runs a write in the open transaction. If an error of an earlier write, such as a full disk, has
    /// ended the transaction, or if the work panics, the caller fails with `Unavailable`.
    fn run(&self, Write { work, answer }: Write) -> Option<(Answer, rusqlite::Result<Value>)> {
        let is_open = !self.connection.is_autocommit();
        let run = AssertUnwindSafe(|| in_savepoint(&self.connection, work));
        let result = is_open.then(|| std::panic::catch_unwind(run).ok()).flatten();
        result.map(|result| (answer, result))
    }

    fn commit(&self) -> rusqlite::Result<()> {
        let committed = execute(&self.connection, "COMMIT");
        if let Err(cause) = &committed {
            if kind(cause) != ErrorKind::Unavailable {
                tracing::error!(%cause, "cannot commit to the database");
            }
            if !self.connection.is_autocommit() {
                drop(execute(&self.connection, "ROLLBACK"));
            }
        }
        committed
    }

    /// Remembers whether the database can be written, and returns whether the disk is the reason why not. A
    /// group that has changed nothing, such as one of lookups, shows only failures.
    fn remember(
        &self,
        committed: &Result<(), Failure>,
        results: &[(Answer, rusqlite::Result<Value>)],
        changes: u64,
    ) -> bool {
        let errors = results.iter().filter_map(|(_, result)| result.as_ref().err());
        let cause = match committed {
            Err(Failure::Gone(gone)) => {
                self.last_write.failed(gone);
                return false;
            }
            Err(Failure::Sqlite(cause)) => Some(cause),
            Ok(()) => errors.into_iter().find(|cause| kind(cause) == ErrorKind::Unavailable),
        };
        match cause {
            Some(cause) => self.last_write.failed(cause),
            None if self.connection.total_changes() > changes => self.last_write.worked(),
            None => {}
        }
        let code = cause.and_then(rusqlite::Error::sqlite_error_code);
        matches!(code, Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
    }

    /// Moves the write-ahead log into the file, so that it takes no space. SQLite does so only after a commit,
    /// and on a full disk there may be none.
    fn make_room(&mut self) {
        if self.connection.busy_handler(Some(wait_for_locks(CHECKPOINT_ATTEMPT))).is_ok() {
            let moved = truncate_log(&self.connection);
            tracing::debug!(?moved, "checkpoint after a failed write");
        }
        // It failed at most where it succeeded just now.
        drop(self.connection.busy_handler(Some(wait_for_locks(MAX_WAIT))));
    }
}

/// The reason why a whole group failed.
enum Failure {
    Sqlite(rusqlite::Error),
    Gone(Gone),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(cause) => cause.fmt(f),
            Self::Gone(gone) => gone.fmt(f),
        }
    }
}

impl Failure {
    /// Returns the error for one of the callers.
    fn error(&self) -> Error {
        match self {
            Self::Gone(gone) => gone.into(),
            Self::Sqlite(rusqlite::Error::SqliteFailure(code, message)) => {
                rusqlite::Error::SqliteFailure(*code, message.clone()).into()
            }
            Self::Sqlite(cause) => Error::new(kind(cause), cause.to_string()),
        }
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
