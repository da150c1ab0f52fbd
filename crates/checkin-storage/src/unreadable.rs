//! Records that cannot be read. One such record does not affect the others.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

/// Maximum number of records that are logged; after that nothing more is logged.
const MAX_REPORTED: usize = 1000;

/// Logs each record that cannot be read once per process; clones share the list of logged records.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<HashSet<String>>>);

impl Reports {
    /// Returns `read`, and logs the record if it cannot be read.
    pub fn logged<T>(&self, record: impl Display, read: Result<T>) -> Result<T> {
        read.inspect_err(|error| {
            if error.is_unreadable() {
                self.log(record, error.source().unwrap_or(error));
            }
        })
    }

    /// Logs a record, by its key or its row; the cause names the rule and never the value.
    pub fn log(&self, record: impl Display, cause: &dyn Error) {
        let record = record.to_string();
        let mut reported = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < MAX_REPORTED && reported.insert(record.clone()) {
            let cause = match cause.source() {
                Some(source) => format!("{cause}: {source}"),
                None => cause.to_string(),
            };
            tracing::warn!(record, cause, "a record cannot be read and is left out");
        }
    }
}

/// Returns a record, or `None` if it cannot be read, for lists, which leave it out. The store has
/// already logged it.
///
/// # Errors
///
/// Errors of the store itself.
pub fn readable<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if error.is_unreadable() => Ok(None),
        read => read,
    }
}

/// Returns whether a record exists, even if it cannot be read.
///
/// # Errors
///
/// Errors of the store itself.
pub fn is_there<T>(read: Result<Option<T>>) -> Result<bool> {
    match read {
        Err(error) if error.is_unreadable() => Ok(true),
        read => Ok(read?.is_some()),
    }
}
