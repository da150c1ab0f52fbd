//! The events of sessions, for metrics.

use crate::error::ErrorKind;

/// Something that happened to a session, for
/// [`on_event`](crate::SessionLayerBuilder::on_event).
///
/// It identifies neither a session nor a person, so a program can count it without further care.
///
/// ```
/// use tower_express_session::{ErrorKind, Event};
///
/// /// Returns the label of a counter.
/// fn label(event: Event) -> &'static str {
///     match event {
///         Event::Loaded => "loaded",
///         Event::Created | Event::Updated { .. } => "stored",
///         Event::Failed(ErrorKind::Unavailable) => "store unavailable",
///         _ => "other",
///     }
/// }
/// assert_eq!(label(Event::Updated { merges: 1 }), "stored");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session was loaded.
    Loaded,
    /// A request had a validly signed id that is not in the store: the session has ended, or an old
    /// cookie was replayed.
    Unknown,
    /// A stored value was not a session. The visitor got a new session.
    Corrupt,
    /// A new session was stored.
    Created,
    /// An existing session was stored.
    Updated {
        /// The number of times that it was merged with changes of concurrent writers.
        merges: u32,
    },
    /// The time to live of a session was restarted.
    Touched,
    /// A session was deleted.
    Destroyed,
    /// A session ended elsewhere while a request was using it.
    Gone,
    /// An operation failed with an error of this kind.
    Failed(ErrorKind),
}
