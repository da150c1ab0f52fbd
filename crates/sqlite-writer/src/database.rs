//! An SQLite file with one writer and several readers per process.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use outage_log::Outage;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::connection::{self, configured_for_writing, connect, make_private};
use crate::error::{Error, ErrorKind};
use crate::files::{Files, LastWrite, has_room};
use crate::observer::{Completed, Observer};
use crate::read_only;
use crate::readers::Readers;
use crate::writer::{Job, Value, Work, Write, Writer};

/// The number of connections that read while the writer writes.
const READERS: usize = 4;

/// How long a caller waits before the operation fails with [`ErrorKind::Unavailable`].
const WAIT: Duration = Duration::from_secs(5);

/// How long a check waits for a write that failed before.
const SHORT_WAIT: Duration = Duration::from_millis(250);

/// The first SQLite release without the bug that could corrupt a file shared by several processes.
const SOUND_SQLITE: i32 = 3_051_003;

/// A handle on an SQLite file in WAL mode; clones share it.
///
/// All writes of a process go through one connection, on a dedicated thread. Writes that wait at
/// the same time are committed together (group commit), and each returns only after the commit was
/// synced to disk. Several processes may use one file: they write one after another.
///
/// Dropping the last handle closes the file: it runs the queued writes, interrupts the running
/// reads, and moves the write-ahead log into the file. Once the last process has closed it, the
/// file alone holds all data. Closing takes milliseconds, or a few seconds if another process reads
/// without a pause. A process that ends without closing loses nothing: the next process to open the
/// file reads the write-ahead log.
///
/// Several components of a program can share one database, and so share its commits:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sqlite_writer::Database;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.db");
/// let database = Database::open(&path)?;
/// database.write(|connection| connection.execute_batch("CREATE TABLE IF NOT EXISTS a (b)")).await?;
/// let count = "SELECT count(*) FROM a";
/// let rows: u32 =
///     database.read(move |connection| connection.query_row(count, [], |row| row.get(0))).await?;
/// assert_eq!(rows, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    path: Arc<PathBuf>,
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    outage: Arc<Outage>,
    observer: Observer,
    last_write: Arc<LastWrite>,
    closed_by_the_last_handle: Arc<Writer>,
}

impl Database {
    /// Opens the file, and creates it with mode 0600 if it does not exist.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Database`] if the file cannot be opened or is not a database, or if the linked
    /// SQLite has the bug that can corrupt files shared by several processes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if rusqlite::version_number() < SOUND_SQLITE {
            let version = rusqlite::version();
            return Err(Error::new(
                ErrorKind::Database,
                format!("SQLite {version} can corrupt a shared file; 3.51.3 or later is needed"),
            ));
        }
        make_private(path);
        let files = Files::of(path);
        let connection = connect(path).and_then(configured_for_writing)?;
        let readers = (0..READERS).map(|_| connect(path)).collect::<Result<Vec<_>, _>>()?;
        let readers = Arc::new(Readers::new(readers, connection::MAX_WAIT)?);
        let last_write = Arc::<LastWrite>::default();
        let writer =
            Writer::start(connection, files, Arc::clone(&last_write), Arc::clone(&readers));
        let writer = writer.map_err(|cause| Error::new(ErrorKind::Database, cause))?;
        Ok(Self { last_write, ..Self::of(path, writer, readers) })
    }

    /// Opens the file for reading only and changes nothing on disk: it creates no file, recovers no
    /// write-ahead log, and runs no checkpoint when it is closed. Every write fails.
    ///
    /// If no process has the file open at this moment, but one opens it and writes to it later, a
    /// read may see a half-finished write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Database`] if the file cannot be opened or is not a database.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let readers = Readers::new(vec![read_only::connect(path)?], read_only::MAX_WAIT)?;
        Ok(Self::of(path, Writer::none(), Arc::new(readers)))
    }

    fn of(path: &Path, writer: Writer, readers: Arc<Readers>) -> Self {
        let (path, jobs) = (Arc::new(path.to_owned()), writer.jobs());
        let (outage, last_write, writer) = (Arc::default(), Arc::default(), Arc::new(writer));
        let observer = Observer::default();
        Self {
            path,
            jobs,
            readers,
            outage,
            observer,
            last_write,
            closed_by_the_last_handle: writer,
        }
    }

    /// Calls `observe` for each operation of this handle and its clones that ends. It is called on
    /// the caller's task and must not block. Only the first call of this method has an effect.
    pub fn observe(&self, observe: impl Fn(Completed) + Send + Sync + 'static) {
        self.observer.set(observe);
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the database can be written. If the last write of this process failed with
    /// [`ErrorKind::Unavailable`], or there was none yet, this writes something that is there already, and
    /// checks that the files have room to grow.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if this write fails, or takes longer than a quarter of a second.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn check_writable(&self) -> Result<(), Error> {
        let Some(cause) = self.last_write.failure() else { return Ok(()) };
        match tokio::time::timeout(SHORT_WAIT, self.try_to_write()).await {
            Ok(tried) => tried,
            Err(_) => Err(Error::new(ErrorKind::Unavailable, cause)),
        }
    }

    async fn try_to_write(&self) -> Result<(), Error> {
        let path = Arc::clone(&self.path);
        let write = move |connection: &Connection| {
            has_room(&path)?;
            // What is there already.
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version)
        };
        self.write(write).await?;
        self.last_write.worked();
        Ok(())
    }

    /// Runs `work` in a write transaction, which other writes may share, and returns after the
    /// commit was synced to disk. If `work` fails, only its own changes are undone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreadable`] if a column does not have the type that `work` reads;
    /// [`ErrorKind::Unavailable`] if the write did not start in time; [`ErrorKind::Database`] if `work`
    /// or the commit fails for another reason.
    ///
    /// # Cancel safety
    ///
    /// A write whose future is dropped may still happen.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let started = self.observer.started("write");
        let written = started.ended(self.try_write(erased(work)).await);
        self.recorded(written.map(typed))
    }

    async fn try_write(&self, work: Work) -> Result<Value, Error> {
        let unavailable = || Error::from(ErrorKind::Unavailable);
        let (answer, answered) = oneshot::channel();
        let answered = async move { answered.await.map_err(|_| unavailable()).flatten() };
        match self.jobs.try_send(Some(Write { work, answer })) {
            Ok(()) => within_limit(answered).await,
            Err(TrySendError::Closed(_)) => Err(unavailable()),
            Err(TrySendError::Full(job)) => {
                let jobs = self.jobs.clone();
                let queued = async move {
                    jobs.send(job).await.map_err(|_| unavailable())?;
                    answered.await
                };
                in_task(within_limit(queued)).await
            }
        }
    }

    /// Runs `work` on one of the connections for reading. It sees every write that has returned
    /// before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreadable`] if a column does not have the type that `work` reads;
    /// [`ErrorKind::Unavailable`] if no reader was free in time; [`ErrorKind::Database`] if `work` fails
    /// for another reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect on the database. A future that is not polled for a while
    /// delays no other reader.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let started = self.observer.started("read");
        let read = started.ended(self.try_read(erased(work)).await);
        self.recorded(read.map(typed))
    }

    /// Runs `work`, which looks up a few rows by their keys, as [`read`](Self::read) does, but on the
    /// calling thread, if a connection is idle and SQLite need not wait for a lock. Then a lookup takes
    /// less time than it would take to hand it over to another thread.
    ///
    /// `work` runs again in another thread if it would have had to wait. If the rows are not in
    /// memory, the calling thread waits for the disk.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    pub async fn look_up<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let started = self.observer.started("look_up");
        let found = match self.readers.run_now(&work).map(|result| result.map_err(Error::from)) {
            Some(Err(error)) if error.kind() == ErrorKind::Unavailable => None,
            found => found,
        };
        let found = match found {
            Some(found) => found,
            None => self.try_read(erased(work)).await.map(typed),
        };
        self.recorded(started.ended(found))
    }

    async fn try_read(&self, work: Work) -> Result<Value, Error> {
        let readers = Arc::clone(&self.readers);
        let read = async move {
            let permit = tokio::time::timeout(WAIT, readers.permits.acquire());
            let permit = permit.await.map_err(|_| ErrorKind::Unavailable)?;
            // `Readers::run` returns the permit, even if the caller's future has been dropped.
            permit.map_err(|_| ErrorKind::Unavailable)?.forget();
            let readers = Arc::clone(&readers);
            let result = tokio::task::spawn_blocking(move || readers.run(work)).await;
            result.map_err(|cause| Error::new(ErrorKind::Database, cause))?.map_err(Error::from)
        };
        in_task(read).await
    }

    /// Reports the result to the outage log.
    fn recorded<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(value) => {
                self.outage.worked();
                Ok(value)
            }
            Err(error) => Err(self.recorded_error(error)),
        }
    }

    fn recorded_error(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Unavailable {
            return error;
        }
        let in_use = || "the database file is in use, or the disk is too slow".to_owned();
        let cause = error.source().map_or_else(in_use, ToString::to_string);
        self.outage.failed(&cause, self.probe());
        error.logged()
    }

    /// Returns a probe that tries to write, for as long as another handle of the database exists.
    fn probe(&self) -> impl Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + 'static {
        let Self { path, jobs, readers, outage, observer, last_write, .. } = self;
        let closed_by_the_last_handle = &self.closed_by_the_last_handle;
        let (path, outage, jobs) = (Arc::clone(path), Arc::clone(outage), jobs.downgrade());
        let (observer, last_write) = (observer.clone(), Arc::clone(last_write));
        let (readers, writer) =
            (Arc::downgrade(readers), Arc::downgrade(closed_by_the_last_handle));
        let upgrade = move || {
            Some(Self {
                path: Arc::clone(&path),
                jobs: jobs.upgrade()?,
                readers: readers.upgrade()?,
                outage: Arc::clone(&outage),
                observer: observer.clone(),
                last_write: Arc::clone(&last_write),
                closed_by_the_last_handle: writer.upgrade()?,
            })
        };
        move || {
            let database = upgrade();
            Box::pin(async move {
                let Some(database) = database else { return false };
                // `write` has reported the result to the outage log.
                drop(database.try_to_write().await);
                true
            })
        }
    }
}

async fn within_limit(work: impl Future<Output = Result<Value, Error>>) -> Result<Value, Error> {
    tokio::time::timeout(WAIT, work).await.unwrap_or_else(|_| Err(ErrorKind::Unavailable.into()))
}

/// Runs `work` in a separate task, which is aborted if the caller's future is dropped.
///
/// Semaphores and queues hand a free place to the waiter that has waited longest. A caller's
/// future, such as one inside a response body, may go unpolled for as long as the client does not
/// read; a place that was handed to it would be unusable for everybody else. A task is always
/// polled.
async fn in_task(
    work: impl Future<Output = Result<Value, Error>> + Send + 'static,
) -> Result<Value, Error> {
    // A set ends its tasks when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(cause)) => Err(Error::new(ErrorKind::Database, cause)),
        None => Err(ErrorKind::Unavailable.into()),
    }
}

fn erased<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Work {
    Box::new(move |connection| Ok(Box::new(work(connection)?)))
}

fn typed<T: 'static>(value: Value) -> T {
    *value.downcast().expect("the type of the work's value")
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
