//! The connections that read beside the writer.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

/// How long closing waits for reads that are under way, which it interrupts.
const READS_END: Duration = Duration::from_secs(1);

/// Connections that read beside the writer.
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

    /// Closes the connections, those in use as soon as their work ends, which is interrupted.
    pub(crate) fn close(&self) {
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

    /// Runs `work` on an idle connection. The caller must have taken a permit, which this returns.
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
