//! Who may see where people check in. This is the one place with the rule; whatever shows a check-in, the
//! location of a user or the time of a check-in asks it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::UserId;
use crate::storage::{Privacy, StorageError};

/// The maximum number of pages that are read for one, in which nothing is visible or too little.
const MAX_PAGES: usize = 100;

/// Finds out whose whereabouts must not be shown.
#[derive(Clone)]
pub(crate) struct Whereabouts(Arc<dyn Privacy>);

/// A page of a list that has only what its reader may see.
#[derive(Debug)]
pub(crate) struct Visible<R, P> {
    pub(crate) records: Vec<R>,
    /// The position of the last record, if another visible one follows.
    pub(crate) next: Option<P>,
}

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

    /// Reads at most `limit` records behind a position that a reader may see. `read` reads as many as it is
    /// asked for, if there are as many, and `about` returns the user and the position of a record. A hidden
    /// record leaves no gap, and no position of it is returned: it would tell where or when a user checked
    /// in. (After [`MAX_PAGES`] pages, it is returned nevertheless, or the list would end there.)
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) async fn fill<R, P: Copy, F>(
        &self,
        reader: UserId,
        (mut after, limit): (Option<P>, usize),
        mut read: impl FnMut(Option<P>, usize) -> F,
        about: impl Fn(&R) -> (UserId, P),
    ) -> Result<Visible<R, P>, StorageError>
    where
        F: Future<Output = Result<Vec<R>, StorageError>>,
    {
        let mut records = Vec::new();
        for _ in 0..MAX_PAGES {
            // One more shows whether another record follows.
            let page = read(after, limit + 1).await?;
            let is_last = page.len() <= limit;
            after = page.last().map(|record| about(record).1).or(after);
            let hidden = self.hidden_from(Some(reader), page.iter().map(|it| about(it).0)).await?;
            records.extend(page.into_iter().filter(|record| !hidden.has(about(record).0)));
            if records.len() > limit {
                records.truncate(limit);
                let next = records.last().map(|record| about(record).1);
                return Ok(Visible { records, next });
            }
            if is_last {
                return Ok(Visible { records, next: None });
            }
        }
        Ok(Visible { records, next: after })
    }
}

impl Hidden {
    /// Returns whether the whereabouts of a user must not be shown. All users see their own.
    pub(crate) fn has(&self, user: UserId) -> bool {
        Some(user) != self.reader && self.users.contains(&user)
    }
}
