//! What happens to sessions, for metrics.

use crate::error::ErrorKind;

/// Something that happened to a session, for
/// [`on_event`](crate::SessionLayerBuilder::on_event).
///
/// It identifies neither a session nor a person, so it can be counted as it is.
///
/// ```
/// use tower_express_session::{ErrorKind, Event};
///
/// /// The label of a counter.
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
    /// A validly signed id is not in the store: its session has ended, or an old cookie is replayed.
    Unknown,
    /// A stored value is not a session. The visitor got a new one.
    Corrupt,
    /// A new session was stored.
    Created,
    /// A session was stored again.
    Updated {
        /// The number of times that it was merged with what others wrote at the same time.
        merges: u32,
    },
    /// A session's time was started again.
    Touched,
    /// A session was deleted.
    Destroyed,
    /// A session had ended elsewhere while a request was using it.
    Gone,
    /// The store failed, or a write did.
    Failed(ErrorKind),
}
