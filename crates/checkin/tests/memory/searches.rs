//! The accounts whose sessions have to be searched for.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{Result, Search, Searches};

use crate::store::{Contents, MemoryStorage};

impl Contents {
    /// Adds an account to the list.
    pub(crate) fn add_search(&mut self, user: UserId) -> Search {
        self.searches.retain(|_, other| *other != user);
        self.last_search += 1;
        let number = self.last_search;
        self.searches.insert(number, user);
        Search { number, user }
    }
}

#[async_trait]
impl Searches for MemoryStorage {
    async fn due_searches(
        &self,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Vec<Search>>> {
        let mut contents = self.contents();
        let (now, until) = (contents.now_ms, contents.until(lease));
        let is_held = |(by, until): &(String, u64)| by != owner && *until > now;
        if contents.search_lease.as_ref().is_some_and(is_held) {
            return Ok(None);
        }
        let due = contents.searches.iter().take(limit);
        let due: Vec<Search> = due.map(|(&number, &user)| Search { number, user }).collect();
        if !due.is_empty() {
            contents.search_lease = Some((owner.to_owned(), until));
        }
        Ok(Some(due))
    }

    async fn begin_search(&self, _: &Search) -> Result<()> {
        Ok(())
    }

    async fn finish_searches(&self, owner: &str, done: &[Search]) -> Result<()> {
        let mut contents = self.contents();
        for search in done {
            if contents.searches.get(&search.number) == Some(&search.user) {
                contents.searches.remove(&search.number);
            }
        }
        contents.search_lease.take_if(|(by, _)| by == owner);
        Ok(())
    }
}
