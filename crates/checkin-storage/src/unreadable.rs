//! Records that cannot be read: each costs itself, and nothing beside it.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// Records that are remembered as reported; beyond them nothing more is logged.
const MAX_REPORTED: usize = 1000;

/// Logs each record that cannot be read once for each process; clones share what was logged.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<HashSet<String>>>);

impl Reports {
    /// Hands on what was read, and logs a record that cannot be.
    pub fn told<T>(&self, record: impl Display, read: Result<T>) -> Result<T> {
        read.inspect_err(|error| {
            if error.is_unreadable() {
                self.tell(record, error.source().unwrap_or(error));
            }
        })
    }

    /// Logs a record, by its key or its row; the cause names the rule and never the value.
    pub fn tell(&self, record: impl Display, cause: &dyn Error) {
        let record = record.to_string();
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MAX_REPORTED && reported.insert(record.clone()) {
            let cause = match cause.source() {
                Some(source) => format!("{cause}: {source}"),
                None => cause.to_string(),
            };
            tracing::warn!(record, cause, "a record cannot be read: it is left out");
        }
    }
}

/// A record, or nothing if it cannot be read: for lists, which go on without it. The store has
/// logged it.
///
/// # Errors
///
/// Those that are about the store and not about this record.
pub fn readable<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if error.is_unreadable() => Ok(None),
        read => read,
    }
}

/// Whether a record is there; one that cannot be read is.
///
/// # Errors
///
/// Those that are about the store and not about this record.
pub fn is_there<T>(read: Result<Option<T>>) -> Result<bool> {
    match read {
        Err(error) if error.is_unreadable() => Ok(true),
        read => Ok(read?.is_some()),
    }
}
