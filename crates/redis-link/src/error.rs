//! The error type, with kinds by what a caller can do.

use std::error::Error as StdError;
use std::fmt;

use crate::obstacle::Obstacle;
use crate::reply::Reply;

/// The error of an operation of a [`Client`](crate::Client).
///
/// [`kind`](Self::kind) tells what the caller can do, [`obstacle`](Self::obstacle) why Redis cannot
/// be used. The [source](StdError::source) is the [`redis::RedisError`], if there is one. The text
/// of an error never contains a password.
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
    /// The address is not a valid [`Address`](crate::Address). The text states the rule that it
    /// breaks.
    Address,
    /// The client does not support this operation: a feature of this crate is not enabled, no
    /// crypto provider is installed, the deployment is a cluster, or the client was made by
    /// [`Client::from_connection`](crate::Client::from_connection). The text says which.
    Unsupported,
    /// Redis cannot be reached, did not answer in time, or cannot serve the command now. A later
    /// attempt may succeed.
    Unavailable,
    /// A key holds a value of another type than the command expects.
    WrongType,
    /// Redis returned another error.
    Server,
    /// Redis returned a reply of an unexpected type.
    Reply,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()), is_logged: false }
    }

    #[cfg(not(all(feature = "cluster", feature = "sentinel", feature = "tls")))]
    pub(crate) fn needs_feature(feature: &str) -> Self {
        let text = format!("this address needs the feature `{feature}` of redis-link");
        Self::new(ErrorKind::Unsupported, text)
    }

    pub(crate) fn has_no_address() -> Self {
        let text = "a client made from an existing connection has no address to connect to";
        Self::new(ErrorKind::Unsupported, text)
    }

    /// Marks the error as part of an outage that the client has logged, or as a denial that the program logs.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// Creates the error for a reply to `command` that has an unexpected type.
    ///
    /// ```
    /// use redis_link::{Error, ErrorKind, Reply};
    ///
    /// let error = Error::unexpected("GET", &Reply::Int(7));
    /// assert_eq!(error.kind(), ErrorKind::Reply);
    /// assert_eq!(error.to_string(), "GET was answered with a number");
    /// ```
    #[must_use]
    pub fn unexpected(command: &str, reply: &Reply) -> Self {
        Self::new(ErrorKind::Reply, format!("{command} was answered with {}", reply.type_name()))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns why Redis cannot be used; `None` if the error does not come from Redis or the
    /// connection to it.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        Obstacle::of(self)
    }

    /// Returns whether the error is part of an outage. The client itself logs an outage, once when
    /// it begins and once when it ends, so the caller need not log this error. A denial is logged by the
    /// program after [`leave_denials_to_observer`](crate::Client::leave_denials_to_observer).
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Returns the cause, for a caller that wraps it in an error type of its own.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.source
    }

    /// Returns the whole text of the error, for the kinds whose source is a message and not another
    /// error.
    fn text(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self.kind {
            ErrorKind::Address | ErrorKind::Unsupported | ErrorKind::Reply => {
                self.source.as_deref()
            }
            _ => None,
        }
    }
}

/// Creates the error for an address that breaks a rule. It contains only the rule, since the
/// address may contain a password.
pub(crate) fn rule(rule: &str) -> Error {
    Error::new(ErrorKind::Address, format!("not a Redis address: {rule}"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return fmt::Display::fmt(text, f);
        }
        f.write_str(match self.kind {
            ErrorKind::Address => "not a Redis address",
            ErrorKind::Unsupported => "the client does not support this operation",
            ErrorKind::Unavailable => "Redis is not available",
            ErrorKind::WrongType => "the key holds another type",
            ErrorKind::Server => "Redis returned an error",
            ErrorKind::Reply => "Redis returned a reply of an unexpected type",
        })
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.text() {
            Some(_) => None,
            None => self.source.as_deref().map(|source| source as _),
        }
    }
}
