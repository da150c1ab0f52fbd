//! Which sessions an account has.

use async_trait::async_trait;
use serde::Deserialize;
use tower_express_session::SessionId;

use super::Result;
use crate::domain::{Email, UserId};

/// An index of each account's sessions, in keys and tables of its own beside the sessions.
///
/// # Contract
///
/// - The index is a help, never an authority: what it names is a session of the account only if
///   the session is still stored and its `user` is still the account's address. Reading heals it:
///   entries of sessions that ended, or changed hands, are dropped and not answered.
/// - An account has at most [`MAX_NOTED`] entries; the oldest ones make room.
/// - Entries that nobody reads end by themselves, no sooner than the sessions.
/// - Sessions that an Express service made are not in it until [`find`](Self::find) looked for
///   them.
#[async_trait]
pub trait AccountSessions: Send + Sync {
    /// Notes a session of an account.
    async fn note(&self, user: UserId, session: &NotedSession) -> Result<()>;

    /// The account's sessions that are noted and alive, the newest first.
    async fn list(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>>;

    /// Looks through all stored sessions for those of the account, whoever made them, and notes the
    /// ones that are not noted yet. Takes time in proportion to the number of all sessions.
    async fn find(&self, user: UserId, email: &Email) -> Result<Vec<NotedSession>>;

    /// Drops an entry of a session that was ended.
    async fn forget(&self, user: UserId, session: &SessionId) -> Result<()>;
}

/// So many sessions of one account are noted.
pub const MAX_NOTED: usize = 100;

/// A session of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedSession {
    /// The session.
    pub id: SessionId,
    /// When it was made or found, in milliseconds since 1970.
    pub since_ms: u64,
    /// The browser or program, as its User-Agent header says; at most 256 characters, empty if
    /// unknown.
    pub device: String,
    /// The network address that it was made from; empty if unknown.
    pub address: String,
}

/// Whether a stored session is of the account with this address.
pub(super) fn belongs_to(stored: &[u8], email: &Email) -> bool {
    #[derive(Deserialize)]
    struct Holder {
        user: String,
    }
    // Whatever cannot be read is nobody's.
    let holder = serde_json::from_slice::<Holder>(stored).ok();
    let holder = holder.and_then(|holder| holder.user.parse::<Email>().ok());
    holder.is_some_and(|holder| holder.canonical() == email.canonical())
}
