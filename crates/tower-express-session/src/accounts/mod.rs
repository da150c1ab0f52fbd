//! The sessions of each account: their index, and the handle that lists and revokes them.

mod index;
mod options;
mod outdated;
mod revoked;
mod sessions;

pub(crate) use index::SessionUse;
pub use options::AccountOptions;
pub use outdated::Outdated;
pub use revoked::Revoked;
pub use sessions::{AccountSession, AccountSessions};
