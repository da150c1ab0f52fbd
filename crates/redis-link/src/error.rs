//! What can go wrong, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;

use crate::obstacle::Obstacle;
use crate::reply::Reply;

/// An operation of a [`Client`](crate::Client) failed.
///
/// [`kind`](Self::kind) says what to do about it, [`obstacle`](Self::obstacle) what is in the way. The
/// [source](StdError::source) is the [`redis::RedisError`], where there is one. No text of an error has
/// a password.
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
    /// The address is none of a Redis deployment; the text says what it must be.
    Address,
    /// The program cannot do this: it lacks a feature of this crate or a crypto provider, or the client
    /// was made from a connection of the caller's own. The text says which.
    Unsupported,
    /// Redis cannot be reached, did not answer in time, or takes no writes for now. Trying again later
    /// may help.
    Unavailable,
    /// A key holds another type than the command is for.
    WrongType,
    /// Redis answered with another error.
    Server,
    /// Redis answered with another type of reply than the command has.
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
        let text = "a client of a connection of the caller's own has no address to connect to";
        Self::new(ErrorKind::Unsupported, text)
    }

    /// The same error, of an outage that the client has logged itself.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// The error of a caller who got another type of reply than `command` has.
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

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What is in the way; `None` if the error does not come from Redis or the connection to it.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        Obstacle::of(self)
    }

    /// Whether the error is part of an outage that the client logs by itself, once when it begins and
    /// once when it ends: there is nothing left to log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// The cause alone, for an error of another type that takes this one's place.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.source
    }

    /// The text that is the whole error, for the kinds whose cause is no other error.
    fn text(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self.kind {
            ErrorKind::Address | ErrorKind::Unsupported | ErrorKind::Reply => {
                self.source.as_deref()
            }
            _ => None,
        }
    }
}

/// A rule that an address breaks. The rule alone: the address may hold a password.
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
            ErrorKind::Unsupported => "this client cannot do that",
            ErrorKind::Unavailable => "Redis is not available",
            ErrorKind::WrongType => "the key holds another type",
            ErrorKind::Server => "Redis answered with an error",
            ErrorKind::Reply => "Redis answered with another type of reply",
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
