//! Who may see where people check in. This is the one place with the rule; whatever shows a check-in, the
//! location of a user or the time of a check-in asks it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::UserId;
use crate::storage::{Privacy, StorageError};

/// Finds out whose whereabouts must not be shown.
#[derive(Clone)]
pub(crate) struct Whereabouts(Arc<dyn Privacy>);

/// The users of a page whose whereabouts its reader must not see.
#[derive(Debug)]
pub(crate) struct Hidden {
    reader: Option<UserId>,
    users: HashSet<UserId>,
}

impl Whereabouts {
    pub(crate) fn new(privacy: Arc<dyn Privacy>) -> Self {
        Self(privacy)
    }

    /// Returns which of `users` hide from a reader. What many readers share has none.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn hidden_from(
        &self,
        reader: Option<UserId>,
        users: impl IntoIterator<Item = UserId>,
    ) -> Result<Hidden, StorageError> {
        let others: Vec<UserId> = users.into_iter().filter(|user| Some(*user) != reader).collect();
        let users = match &others[..] {
            [] => HashSet::new(),
            others => self.0.hidden_among(others).await?,
        };
        Ok(Hidden { reader, users })
    }
}

impl Hidden {
    /// Returns whether the whereabouts of a user must not be shown. All users see their own.
    pub(crate) fn has(&self, user: UserId) -> bool {
        Some(user) != self.reader && self.users.contains(&user)
    }
}
