//! The sessions of each account: an index beside the sessions, and the handle that lists and revokes
//! them.

mod index;
mod options;
mod sessions;

pub(crate) use index::Seen;
pub use options::AccountOptions;
pub use sessions::{AccountSession, AccountSessions};
