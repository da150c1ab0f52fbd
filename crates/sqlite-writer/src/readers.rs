//! The connections that read while the writer writes.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

use crate::connection::wait_for_locks;

/// How long closing waits for the running reads, which it interrupts.
const READS_END: Duration = Duration::from_secs(1);

/// The connections that read while the writer writes.
pub(crate) struct Readers {
    // Locked to push or pop only.
    idle: Mutex<Vec<Reader>>,
    pub(crate) permits: Semaphore,
    interrupts: Vec<InterruptHandle>,
}

struct Reader {
    connection: Connection,
    /// Whether SQLite waits for locks, which blocks the thread.
    waits: Arc<AtomicBool>,
}

impl Reader {
    fn new(mut connection: Connection, max_wait: Duration) -> rusqlite::Result<Self> {
        let waits = Arc::new(AtomicBool::new(true));
        let may_wait = Arc::clone(&waits);
        let wait = wait_for_locks(max_wait);
        connection.busy_handler(Some(move |tries| may_wait.load(Relaxed) && wait(tries)))?;
        Ok(Self { connection, waits })
    }
}

impl Readers {
    /// Returns readers that wait this long for locks.
    pub(crate) fn new(connections: Vec<Connection>, max_wait: Duration) -> rusqlite::Result<Self> {
        let interrupts = connections.iter().map(Connection::get_interrupt_handle).collect();
        let permits = Semaphore::new(connections.len());
        let readers = connections.into_iter().map(|connection| Reader::new(connection, max_wait));
        let idle = Mutex::new(readers.collect::<Result<_, _>>()?);
        Ok(Self { idle, permits, interrupts })
    }

    /// Interrupts the running reads and closes all connections, each as soon as it is idle.
    pub(crate) fn close(&self) {
        self.permits.close();
        let deadline = Instant::now() + READS_END;
        let mut closed = 0;
        while closed < self.interrupts.len() && Instant::now() < deadline {
            if let Some(reader) = self.pop() {
                drop(reader);
                closed += 1;
            } else {
                // Interrupted again and again, because work may continue with its next statement.
                self.interrupts.iter().for_each(InterruptHandle::interrupt);
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Runs `work` on an idle connection. The caller must have acquired and forgotten a permit,
    /// which this function releases.
    pub(crate) fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.borrow(true).run(work)
    }

    /// Runs `work` if a connection is idle. It fails at once if SQLite has to wait for a lock.
    pub(crate) fn run_now<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Option<rusqlite::Result<T>> {
        self.permits.try_acquire().ok()?.forget();
        Some(self.borrow(false).run(work))
    }

    fn borrow(&self, waits: bool) -> Borrowed<'_> {
        let reader = self.pop().expect("as many permits as connections");
        reader.waits.store(waits, Relaxed);
        Borrowed { readers: self, reader: Some(reader) }
    }

    fn pop(&self) -> Option<Reader> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// A connection in use. It is returned even if the work panics.
struct Borrowed<'a> {
    readers: &'a Readers,
    reader: Option<Reader>,
}

impl Borrowed<'_> {
    fn run<T>(self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        work(&self.reader.as_ref().expect("returned only when dropped").connection)
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.reader.take());
        self.readers.permits.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection in rollback mode, whose table another connection locks.
    fn locked() -> (tempfile::TempDir, Connection, Readers) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (n); BEGIN EXCLUSIVE").unwrap();
        let reader = Connection::open(&path).unwrap();
        let readers = Readers::new(vec![reader], Duration::from_secs(60)).unwrap();
        (directory, other, readers)
    }

    #[test]
    fn only_a_thread_that_may_wait_waits_for_a_lock() {
        let (_directory, other, readers) = locked();
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, u32>(0))
        };
        let started = Instant::now();
        let code = readers.run_now(count).unwrap().unwrap_err().sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::DatabaseBusy));
        assert!(started.elapsed() < Duration::from_secs(30), "it waited");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                readers.permits.try_acquire().unwrap().forget();
                readers.run(count)
            });
            while readers.permits.available_permits() > 0 {
                thread::yield_now();
            }
            other.execute_batch("COMMIT").unwrap();
            assert_eq!(waiting.join().unwrap().unwrap(), 0);
        });
    }
}
