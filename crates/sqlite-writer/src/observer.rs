//! Reports what a database does, for metrics and traces.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// An operation that has ended; see [`Database::observe`](crate::Database::observe).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Completed {
    /// The name of the method: `read`, `look_up` or `write`.
    pub operation: &'static str,
    /// The time until the caller had the result, including the time in the queue.
    pub took: Duration,
    /// The kind of the error, if it failed.
    pub failure: Option<ErrorKind>,
}

type Observe = dyn Fn(Completed) + Send + Sync;

/// The function that observes a database; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Observer(Arc<OnceLock<Box<Observe>>>);

impl Observer {
    /// Sets the function, unless there is one already.
    pub(crate) fn set(&self, observe: impl Fn(Completed) + Send + Sync + 'static) {
        // The first one stays.
        drop(self.0.set(Box::new(observe)));
    }

    /// Returns the result of an operation, and reports it. An operation whose future is dropped is
    /// not reported.
    pub(crate) async fn observed<T>(
        &self,
        operation: &'static str,
        result: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some(observe) = self.0.get() else { return result.await };
        let started = Instant::now();
        let result = result.await;
        let (took, failure) = (started.elapsed(), result.as_ref().err().map(Error::kind));
        observe(Completed { operation, took, failure });
        result
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.get().is_some()).finish()
    }
}
