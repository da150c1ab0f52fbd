//! Reports what a client does, for metrics and traces.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::RedisError;
use tokio::time::Instant;

use crate::cause::kind;
use crate::client::Client;
use crate::error::ErrorKind;
use crate::obstacle::Obstacle;

/// Something that a client did; see [`Client::observe`](crate::Client::observe).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Observed<'a> {
    /// A connection was opened: the first one, or one that replaces a lost one.
    Connected,
    /// A request was answered, or failed.
    #[non_exhaustive]
    Request {
        /// The name of the command, of the [named](crate::Script::named) script, or `pipeline`.
        operation: &'a str,
        /// The number of commands in the request.
        commands: usize,
        /// The time until the caller had the reply, including the time for a new connection.
        took: Duration,
        /// Why it failed, if it did.
        failure: Option<Failure>,
    },
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// There was no reply in time.
    TimedOut,
    /// Redis could not be reached, or cannot serve the request now.
    Unavailable,
    /// The login may not use the command or the key.
    Denied,
    /// Redis replied with another error.
    Refused,
}

impl From<&RedisError> for Failure {
    fn from(cause: &RedisError) -> Self {
        if cause.is_timeout() {
            return Self::TimedOut;
        }
        match kind(cause) {
            ErrorKind::Unavailable => Self::Unavailable,
            _ if Obstacle::from(cause) == Obstacle::NoPermission => Self::Denied,
            _ => Self::Refused,
        }
    }
}

impl Client {
    /// Calls `observe` for each request that is answered or fails, and for each connection that is
    /// opened, by this client, its clones and its [dedicated](Self::dedicated) clients. It is called
    /// on the caller's task and must not block. Only the first call of this method has an effect.
    ///
    /// ```no_run
    /// use redis_link::{Client, Observed};
    ///
    /// let client = Client::open("redis://127.0.0.1:6379")?;
    /// client.observe(|observed| {
    ///     if let Observed::Request { operation, took, .. } = observed {
    ///         println!("{operation} took {took:?}");
    ///     }
    /// });
    /// # Ok::<(), redis_link::Error>(())
    /// ```
    pub fn observe(&self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) {
        self.links().observer.set(observe);
    }
}

type Observe = dyn Fn(Observed<'_>) + Send + Sync;

/// The function that observes a client; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Observer(Arc<OnceLock<Box<Observe>>>);

impl Observer {
    /// Sets the function, unless there is one already.
    pub(crate) fn set(&self, observe: impl Fn(Observed<'_>) + Send + Sync + 'static) {
        // The first one stays.
        drop(self.0.set(Box::new(observe)));
    }

    pub(crate) fn connected(&self) {
        if let Some(observe) = self.0.get() {
            observe(Observed::Connected);
        }
    }

    /// Notes the start of a request. A request whose future is dropped is not reported.
    pub(crate) fn started<'a>(&'a self, operation: &'a str, commands: usize) -> Started<'a> {
        let observe = self.0.get().map(|observe| &**observe);
        Started { observe, began: Instant::now(), operation, commands }
    }
}

/// A request in progress. It does not take the request's future: one that is handed on takes its memory twice.
pub(crate) struct Started<'a> {
    observe: Option<&'a Observe>,
    pub(crate) began: Instant,
    operation: &'a str,
    commands: usize,
}

impl Started<'_> {
    /// Reports the answer, and returns it.
    pub(crate) fn answered<T>(self, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        let Self { observe, began, operation, commands } = self;
        if let Some(observe) = observe {
            let (took, failure) = (began.elapsed(), answer.as_ref().err().map(Failure::from));
            observe(Observed::Request { operation, commands, took, failure });
        }
        answer
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.get().is_some()).finish()
    }
}
