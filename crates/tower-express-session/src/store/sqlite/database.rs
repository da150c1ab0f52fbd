//! An SQLite file with one writer and several readers for each process.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, InterruptHandle};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::read_only;
use crate::error::{Error, ErrorKind};
use crate::store::outage::Outage;

/// Writes that wait for the writer. Beyond it callers wait, and run into [`WAIT`].
const QUEUE: usize = 1024;

/// Writes that share one commit, and so one sync of the disk.
const GROUP: usize = 128;

/// Connections that read beside the writer.
const READERS: usize = 4;

/// How long a caller waits before it hears that the database is not to be had.
const WAIT: Duration = Duration::from_secs(5);

/// How long the writer waits for a writer of another process, in milliseconds: it asks again after
/// each. Shorter than [`WAIT`], so that the caller hears why.
const BUSY_MS: i32 = 4_000;

/// How long closing waits for reads that are under way, which it interrupts.
const READS_END: Duration = Duration::from_secs(1);

/// How long closing tries to move the write-ahead log into the file. What keeps it from that are
/// other processes that read; the last one of them to close moves it.
const CHECKPOINT: Duration = Duration::from_secs(2);

/// How long each of these attempts, which hold the write lock, may wait for readers.
const CHECKPOINT_ATTEMPT: Duration = Duration::from_millis(100);

/// The first release without the bug that could corrupt a file that several processes write to.
const SOUND_SQLITE: i32 = 3_051_003;

/// A handle on an SQLite file in WAL mode; clones share it.
///
/// All writes of a process go through one connection on a thread of its own. Writes that wait
/// together are committed together (group commit), and each is answered only after the commit was
/// synced to disk. Several processes may use one file: they take turns.
///
/// Dropping the last handle closes the file: it runs the writes that wait, interrupts the reads that
/// are under way, and moves the write-ahead log into the file, so that the file alone holds
/// everything once the last process has closed it. That takes milliseconds, and a few seconds if
/// another process reads without pause. A process that ends without it loses nothing: the next one
/// to open the file reads the write-ahead log.
///
/// An application may keep its own tables in it, and have its writes in the same commits:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_express_session::store::sqlite::Database;
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
    closed_by_the_last_handle: Arc<Writer>,
}

/// What the writer's thread is sent; `None` makes it close.
type Job = Option<Work>;

/// Does its work inside the open transaction, and gives what is to be done after the commit.
type Work = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

struct Readers {
    // Locked to push or pop only.
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    interrupts: Vec<InterruptHandle>,
}

/// The writer's thread, which ends when this is dropped.
struct Writer {
    thread: Option<JoinHandle<()>>,
    jobs: mpsc::Sender<Job>,
}

impl Database {
    /// Opens the file, or makes it, with mode 0600.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`] when the file cannot be opened, is no database, or the linked SQLite
    /// has the bug that corrupts files shared by several processes.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if rusqlite::version_number() < SOUND_SQLITE {
            let version = rusqlite::version();
            return Err(Error::new(
                ErrorKind::Store,
                format!("SQLite {version} can corrupt a shared file; 3.51.3 or later is needed"),
            ));
        }
        make_private(path);
        let connection = connect(path).and_then(prepared_to_write).map_err(database_error)?;
        let readers = (0..READERS).map(|_| connect(path)).collect::<Result<Vec<_>, _>>();
        let readers = Arc::new(Readers::new(readers.map_err(database_error)?));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("sqlite-writer".to_owned());
        let thread = thread.spawn({
            let readers = Arc::clone(&readers);
            move || write_groups(connection, queue, &readers)
        });
        let thread = Some(thread.map_err(|cause| Error::new(ErrorKind::Store, cause))?);
        let writer = Arc::new(Writer { thread, jobs: jobs.clone() });
        let path = Arc::new(path.to_owned());
        let outage = Arc::default();
        Ok(Self { path, jobs, readers, outage, closed_by_the_last_handle: writer })
    }

    /// Opens the file for reading, and leaves it and the files beside it as they are: makes none,
    /// recovers no write-ahead log, and moves nothing when it is closed. Every write fails.
    ///
    /// If no process has the file open, and one opens it and writes meanwhile, a read may see the
    /// midst of that write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Store`] when the file cannot be opened, or is no database.
    pub fn open_read_only(path: &Path) -> Result<Self, Error> {
        let connection = read_only::connect(path).map_err(database_error)?;
        let (jobs, _) = mpsc::channel(1);
        let writer = Arc::new(Writer { thread: None, jobs: jobs.clone() });
        let readers = Arc::new(Readers::new(vec![connection]));
        let path = Arc::new(path.to_owned());
        Ok(Self { path, jobs, readers, outage: Arc::default(), closed_by_the_last_handle: writer })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a write transaction that other writes may share; returns after it was synced.
    /// If `work` fails, only its own changes are undone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] when a column is not what `work` takes; [`ErrorKind::Store`] when `work`
    /// or the commit fails otherwise; [`ErrorKind::Unavailable`] when it was
    /// not this write's turn in time.
    ///
    /// # Cancel safety
    ///
    /// A write whose future is dropped may still happen.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Some(Box::new(move |connection| {
            let result = in_savepoint(connection, work);
            Box::new(move |committed| {
                let result = match committed {
                    Ok(()) => result.map_err(database_error),
                    Err(cause) => Err(Error::new(kind(cause), cause.to_string())),
                };
                // Nobody waits any more when the request went away.
                drop(answer.send(result));
            })
        }));
        let jobs = self.jobs.clone();
        let turn = async move {
            jobs.send(job).await.map_err(|_| Error::from(ErrorKind::Unavailable))?;
            answered.await.map_err(|_| Error::from(ErrorKind::Unavailable))
        };
        let written = match in_task(tokio::time::timeout(WAIT, turn)).await {
            Ok(Ok(answered)) => answered.flatten(),
            Ok(Err(_)) => Err(ErrorKind::Unavailable.into()),
            Err(error) => Err(error),
        };
        self.noted(written)
    }

    /// Runs `work` on a connection for reading, beside the writer. It sees every write that was
    /// answered before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] when a column is not what `work` takes; [`ErrorKind::Store`] when `work`
    /// fails otherwise; [`ErrorKind::Unavailable`] when no reader was free
    /// in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind. A future that is not polled for a while holds up
    /// nobody else.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.noted(self.try_read(work).await)
    }

    async fn try_read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let readers = Arc::clone(&self.readers);
        let read = async move {
            let permit = tokio::time::timeout(WAIT, readers.permits.acquire());
            let permit = permit.await.map_err(|_| ErrorKind::Unavailable)?;
            // The reader gives it back, even when nobody waits for it any more.
            permit.map_err(|_| ErrorKind::Unavailable)?.forget();
            let readers = Arc::clone(&readers);
            let result = tokio::task::spawn_blocking(move || readers.run(work)).await;
            result.map_err(|cause| Error::new(ErrorKind::Store, cause))?.map_err(database_error)
        };
        in_task(read).await?
    }

    /// Takes note of an outage.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let in_use = || "the database file is in use, or the disk is too slow".to_owned();
                let cause = error.cause().unwrap_or_else(in_use);
                self.outage.failed(&cause, self.ask());
                Err(error.logged())
            }
            Ok(value) => {
                self.outage.worked();
                Ok(value)
            }
            Err(error) => Err(error),
        }
    }

    /// Tries to write as long as another handle of the database is left.
    fn ask(&self) -> impl Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + 'static {
        let Self { path, jobs, readers, outage, closed_by_the_last_handle } = self;
        let (path, outage, jobs) = (Arc::clone(path), Arc::clone(outage), jobs.downgrade());
        let (readers, writer) =
            (Arc::downgrade(readers), Arc::downgrade(closed_by_the_last_handle));
        let upgrade = move || {
            Some(Self {
                path: Arc::clone(&path),
                jobs: jobs.upgrade()?,
                readers: readers.upgrade()?,
                outage: Arc::clone(&outage),
                closed_by_the_last_handle: writer.upgrade()?,
            })
        };
        move || {
            let database = upgrade();
            Box::pin(async move {
                let Some(database) = database else { return false };
                // What becomes of it has been noted.
                drop(database.write(|_| Ok(())).await);
                true
            })
        }
    }
}

/// Runs `work` in a task of its own, which ends early if the caller's future is dropped.
///
/// Semaphores and queues give a place to whoever waits the longest. A caller's future, such as one
/// inside a response body, may not be polled for as long as a client likes: a place that it was
/// given would be lost to everybody else. A task is always polled.
async fn in_task<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    // A set ends its tasks when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(value)) => Ok(value),
        Some(Err(cause)) => Err(Error::new(ErrorKind::Store, cause)),
        None => Err(ErrorKind::Unavailable.into()),
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

impl Readers {
    fn new(connections: Vec<Connection>) -> Self {
        let interrupts = connections.iter().map(Connection::get_interrupt_handle).collect();
        let permits = Semaphore::new(connections.len());
        Self { idle: Mutex::new(connections), permits, interrupts }
    }

    /// Closes the connections, those in use as soon as their work ends, which is interrupted.
    fn close(&self) {
        self.permits.close();
        let deadline = Instant::now() + READS_END;
        let mut closed = 0;
        while closed < self.interrupts.len() && Instant::now() < deadline {
            if let Some(connection) = self.pop() {
                drop(connection);
                closed += 1;
            } else {
                // Work of several statements goes on with the next one.
                self.interrupts.iter().for_each(InterruptHandle::interrupt);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let borrowed = Borrowed { readers: self, connection: self.pop() };
        work(borrowed.connection.as_ref().expect("as many permits as connections"))
    }

    fn pop(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Returns its connection also when the work panics.
struct Borrowed<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
        self.readers.permits.add_permits(1);
    }
}

/// Makes the file if it is not there, for its owner alone: it holds sessions. SQLite gives the files
/// beside it the same mode. If this fails, opening the database says why.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(PRIVATE);
        if let Ok(file) = options.open(path) {
            // The process may have a mask that takes even the owner's rights.
            drop(file.set_permissions(std::fs::Permissions::from_mode(PRIVATE)));
        }
    }
    #[cfg(not(unix))]
    drop(options.open(path));
}

/// Read and written by its owner alone.
#[cfg(unix)]
const PRIVATE: u32 = 0o600;

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_handler(Some(|asked| {
        thread::sleep(Duration::from_millis(1));
        asked < BUSY_MS
    }))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL syncs each commit: what was answered survives the loss of power. NORMAL does not.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Large transactions that touch pages all over a large file stay in memory, and their pages go into
/// the file by many at a time.
fn prepared_to_write(connection: Connection) -> rusqlite::Result<Connection> {
    const MEMORY_KIB: i64 = 64 << 10;
    const CHECKPOINT_PAGES: i64 = 16 << 10;
    // A negative size counts KiB, a positive one pages.
    connection.pragma_update(None, "cache_size", -MEMORY_KIB)?;
    // What a savepoint has to undo.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
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

/// A job that panics is undone by its savepoint, and must not take the writer with it.
fn run(connection: &mut Connection, job: Work) -> Option<Answer> {
    std::panic::catch_unwind(AssertUnwindSafe(|| job(connection))).ok()
}

fn in_savepoint<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let savepoint = connection.savepoint()?;
    let value = work(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}

fn database_error(cause: rusqlite::Error) -> Error {
    Error::new(kind(&cause), cause)
}

fn kind(cause: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    match cause {
        // The row is what is wrong, and not the database.
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => ErrorKind::Corrupt,
        _ => match cause.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure,
            ) => ErrorKind::Unavailable,
            _ => ErrorKind::Store,
        },
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::sync::mpsc as std_mpsc;
    use std::task::{Context, Waker};

    use super::*;

    /// Polls a future once, as a connection does whose client then reads no more of the answer.
    fn poll_once<F: Future + Unpin>(future: &mut F) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(future).poll(&mut context).is_pending());
    }

    fn database() -> (tempfile::TempDir, Database) {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&directory.path().join("a.db")).unwrap();
        (directory, database)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn reads_that_nobody_polls_hold_no_reader() {
        let (_directory, database) = database();
        let (mut busy, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..READERS {
            let (end, ended) = std_mpsc::channel::<()>();
            let (begin, begun) = oneshot::channel();
            let database = database.clone();
            busy.push(tokio::spawn(async move {
                let wait = move |_: &Connection| {
                    begin.send(()).unwrap();
                    let _ = ended.recv();
                    Ok(())
                };
                database.read(wait).await.unwrap();
            }));
            begun.await.unwrap();
            ends.push(end);
        }
        let mut stuck: Vec<_> = (0..10 * READERS)
            .map(|_| {
                let database = database.clone();
                Box::pin(async move { database.read(|_| Ok(())).await })
            })
            .collect();
        stuck.iter_mut().for_each(poll_once);
        drop(ends);
        for reader in busy {
            reader.await.unwrap();
        }
        assert_eq!(database.read(|_| Ok(7)).await.unwrap(), 7);
        for read in stuck {
            read.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_read_that_was_given_up_gives_its_reader_back() {
        let (_directory, database) = database();
        for _ in 0..100 * READERS {
            // Reading may be over already when it is polled for the first time.
            let read = pin!(database.read(|_| Ok(())));
            let _ = read.poll(&mut Context::from_waker(Waker::noop()));
        }
        database.read(|_| Ok(())).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writes_that_nobody_polls_hold_no_place_in_the_queue() {
        let (_directory, database) = database();
        let (end, ended) = std_mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let writing = database.clone();
        let busy = tokio::spawn(async move {
            let wait = move |_: &Connection| {
                begin.send(()).unwrap();
                let _ = ended.recv();
                Ok(())
            };
            writing.write(wait).await.unwrap();
        });
        begun.await.unwrap();
        let mut stuck: Vec<_> = (0..2 * QUEUE)
            .map(|_| {
                let database = database.clone();
                Box::pin(async move { database.write(|_| Ok(())).await })
            })
            .collect();
        stuck.iter_mut().for_each(poll_once);
        drop(end);
        busy.await.unwrap();
        // Behind all of them, which are as many as the queue holds twice.
        database.write(|_| Ok(())).await.unwrap();
        for write in stuck {
            write.await.unwrap();
        }
    }
}
