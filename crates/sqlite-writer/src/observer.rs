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

    /// Records the start of an operation. An operation whose future is dropped is not reported.
    pub(crate) fn started(&self, operation: &'static str) -> Started<'_> {
        let observed = self.0.get().map(|observe| (&**observe, Instant::now()));
        Started { observed, operation }
    }
}

/// An operation in progress. It does not take the operation's future: one that is handed on takes its memory twice.
pub(crate) struct Started<'a> {
    /// The function that observes it, if there is one, and when it started.
    observed: Option<(&'a Observe, Instant)>,
    operation: &'static str,
}

impl Started<'_> {
    /// Reports the result, and returns it.
    pub(crate) fn ended<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        let Self { observed, operation } = self;
        if let Some((observe, started)) = observed {
            let (took, failure) = (started.elapsed(), result.as_ref().err().map(Error::kind));
            observe(Completed { operation, took, failure });
        }
        result
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.get().is_some()).finish()
    }
}
