//! The errors of a layer's options at start-up, and of session operations during requests.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

/// The error of an operation on a session.
///
/// [`kind`](Self::kind) tells what the caller can do; the source, if any, tells what happened. The
/// text identifies no session. With the feature `axum` the error is a response, and the rejection
/// of the extractors: its [`status`](Self::status) with an empty body, and `Retry-After` for a 503.
/// The layer's [`on_failure`](crate::SessionLayerBuilder::on_failure) replaces that response.
///
/// ```
/// use tower_express_session::{Error, ErrorKind, Session};
///
/// async fn like(session: Session) -> Result<&'static str, Error> {
///     match session.update("likes", |likes: Option<u32>| likes.unwrap_or(0) + 1).await {
///         Ok(_) => Ok("thank you"),
///         // Logged out in another window while this request was in progress.
///         Err(error) if error.kind() == ErrorKind::Gone => Ok("log in again"),
///         Err(error) => Err(error),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
    is_logged: bool,
}

/// The kinds of [`Error`], by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store cannot be reached, did not answer in time, or refuses writes at the moment. Try
    /// again later. Never treat it as "there is no session".
    Unavailable,
    /// The store returned another error.
    Store,
    /// The stored value is not a session that express-session would accept, or the store holds a
    /// value of another type.
    Corrupt,
    /// No [`SessionLayer`](crate::SessionLayer) covers the route of the handler, or the request's
    /// path is outside the cookie's path.
    NoLayer,
    /// The session was ended in this request, for example by a logout.
    NoSession,
    /// The response has started, so the change can no longer be stored, nor the cookie be set. Use
    /// a [`DetachedSession`](crate::DetachedSession) for work that outlives the request.
    Answered,
    /// The session is no longer in the store: it ended elsewhere, or expired.
    Gone,
    /// A session with this id exists already, or other writers kept changing it.
    Conflict,
    /// The attribute's name cannot be used: Node drops it when it loads the session.
    ReservedName,
    /// The value cannot be written as JSON, or contains an integer that JavaScript would round.
    Encode,
    /// The stored attribute does not have the requested type.
    Decode,
    /// The value is not allowed for this attribute of the cookie.
    Cookie,
    /// The operating system returned no random numbers.
    Random,
}

impl Error {
    /// Returns an error of this kind with its cause; for authors of stores.
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()), is_logged: false }
    }

    /// Returns an error of a store that logs its own outages.
    #[cfg(any(feature = "redis", feature = "sqlite"))]
    pub(crate) fn of_engine(
        kind: ErrorKind,
        is_logged: bool,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, source, is_logged }
    }

    /// Returns whether the error is part of an outage that the store itself logs, once when it
    /// begins and once when it ends, so that the caller need not log it. The stores of this crate
    /// log their outages. On Redis, the program may say that it logs itself what Redis denies
    /// (`leave_denials_to_observer` of redis-link).
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Logs the failure of the operation `what`, unless the store has logged it.
    pub(crate) fn log(&self, what: &str) {
        let cause = self.cause();
        if self.is_logged {
            tracing::debug!(error.kind = ?self.kind, error.source = cause, "{what}: {self}");
        } else {
            tracing::error!(error.kind = ?self.kind, error.source = cause, "{what}: {self}");
        }
    }

    /// Returns the kind, which tells what the caller can do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the status of a response to the request that failed: 503 for
    /// [`Unavailable`](ErrorKind::Unavailable), [`Store`](ErrorKind::Store) and
    /// [`Conflict`](ErrorKind::Conflict), 500 for the others.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::Unavailable | ErrorKind::Store | ErrorKind::Conflict => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the cause, for the log.
    pub(crate) fn cause(&self) -> Option<String> {
        self.source.as_ref().map(ToString::to_string)
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None, is_logged: false }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::Unavailable => "the store is not available",
            ErrorKind::Store => "the store returned an error",
            ErrorKind::Corrupt => "the stored value cannot be read",
            ErrorKind::NoLayer => "no session layer covers this route",
            ErrorKind::NoSession => "the session was ended in this request",
            ErrorKind::Answered => "the response has started, so this change cannot be stored",
            ErrorKind::Gone => "the session is no longer in the store",
            ErrorKind::Conflict => "other requests changed the session at the same time",
            ErrorKind::ReservedName => {
                "the attribute's name must not be one that express-session reserves"
            }
            ErrorKind::Encode => "the value cannot be stored as JSON",
            ErrorKind::Decode => "the stored attribute does not have the requested type",
            ErrorKind::Cookie => "the value is not allowed for this attribute of the cookie",
            ErrorKind::Random => "the operating system returned no random numbers",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The error of a session layer that cannot be built from its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// No secret was given.
    NoSecret,
    /// One of the secrets is empty.
    EmptySecret,
    /// An option has a value that express-session would reject, or that no browser would accept.
    Option {
        /// The option's name, as express-session spells it.
        name: String,
        /// The rule that the value breaks.
        rule: String,
    },
}

impl ConfigError {
    pub(crate) fn option(name: &str, rule: impl Into<String>) -> Self {
        Self::Option { name: name.to_owned(), rule: rule.into() }
    }
}

/// Never happens: a conversion from [`Secrets`](crate::Secrets) cannot fail.
impl From<Infallible> for ConfigError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSecret => f.write_str("at least one session secret must be given"),
            Self::EmptySecret => f.write_str("a session secret must not be empty"),
            Self::Option { name, rule } => write!(f, "option {name}: {rule}"),
        }
    }
}

impl StdError for ConfigError {}
