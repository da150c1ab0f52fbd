//! Reads the names of those who check in: joins records of two kinds.

use crate::domain::{Checkin, Name, UserId};
use crate::storage::{StorageError, Users};

/// A check-in with the name of its user.
#[derive(Clone, Debug)]
pub(crate) struct NamedCheckin {
    pub(crate) checkin: Checkin,
    /// `None` if the user does not exist, or if the name cannot be read.
    pub(crate) name: Option<Name>,
}

/// Returns check-ins with the names of their users.
///
/// # Errors
///
/// Those of the store.
pub(crate) async fn with_names(
    users: &dyn Users,
    checkins: Vec<Checkin>,
) -> Result<Vec<NamedCheckin>, StorageError> {
    // A stream without news asks nothing of the store.
    if checkins.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<UserId> = checkins.iter().map(|checkin| checkin.user).collect();
    let names = users.names(&ids).await?;
    let named = |checkin: Checkin| {
        let name = names.get(&checkin.user).cloned();
        NamedCheckin { checkin, name }
    };
    Ok(checkins.into_iter().map(named).collect())
}
