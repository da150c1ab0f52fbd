//! Runs work that must continue after its request has ended.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::telemetry::in_current_service;
use crate::traces::in_current_trace;

/// The maximum number of such tasks at a time: more than wait for a password to be checked, few enough
/// to be kept in memory.
const MAX_TASKS: usize = 1024;

/// Runs work in tasks of its own, so that it is finished, with its permits and its result, even if
/// the client hangs up or the request times out. Clones share the limit.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

/// The reason why work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskError {
    /// Too many tasks run already. The work was not started.
    TooMany,
    /// It panicked.
    Panicked,
}

impl Tasks {
    /// Starts work in a task.
    ///
    /// # Errors
    ///
    /// [`TaskError::TooMany`].
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>, TaskError> {
        if self.0.len() >= MAX_TASKS {
            return Err(TaskError::TooMany);
        }
        Ok(self.0.spawn(in_current_service(in_current_trace(work.in_current_span()))))
    }

    /// Runs work in a task and waits for it.
    ///
    /// # Errors
    ///
    /// As [`TaskError`] says, and those of the work.
    ///
    /// # Cancel safety
    ///
    /// Work continues if nobody waits for it any more.
    pub(crate) async fn run<T: Send + 'static, E: From<TaskError> + Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        self.spawn(work)?.await.map_err(|_| TaskError::Panicked)?
    }

    /// Waits until no task runs, at most for `limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub async fn finish(&self, limit: Duration) {
        self.0.close();
        if tokio::time::timeout(limit, self.0.wait()).await.is_err() {
            tracing::warn!("stopped with work still in progress");
        }
    }
}
