//! The connections that read while the writer writes.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

/// How long closing waits for the running reads, which it interrupts.
const READS_END: Duration = Duration::from_secs(1);

/// The connections that read while the writer writes.
pub(crate) struct Readers {
    // Locked to push or pop only.
    idle: Mutex<Vec<Connection>>,
    pub(crate) permits: Semaphore,
    interrupts: Vec<InterruptHandle>,
}

impl Readers {
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        let interrupts = connections.iter().map(Connection::get_interrupt_handle).collect();
        let permits = Semaphore::new(connections.len());
        Self { idle: Mutex::new(connections), permits, interrupts }
    }

    /// Interrupts the running reads and closes all connections, each as soon as it is idle.
    pub(crate) fn close(&self) {
        self.permits.close();
        let deadline = Instant::now() + READS_END;
        let mut closed = 0;
        while closed < self.interrupts.len() && Instant::now() < deadline {
            if let Some(connection) = self.pop() {
                drop(connection);
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
        let borrowed = Borrowed { readers: self, connection: self.pop() };
        work(borrowed.connection.as_ref().expect("as many permits as connections"))
    }

    fn pop(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// A connection in use. It is returned even if the work panics.
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
