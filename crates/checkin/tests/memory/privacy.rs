//! Who may see where people check in, and which accounts are new.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{Audience, Privacy, Result};

use crate::store::MemoryStorage;

#[async_trait]
impl Privacy for MemoryStorage {
    async fn audience(&self, user: UserId) -> Result<Audience> {
        Ok(self.contents().audiences.get(&user).copied().unwrap_or_default())
    }

    async fn set_audience(&self, user: UserId, audience: Audience) -> Result<()> {
        self.contents().audiences.insert(user, audience);
        Ok(())
    }

    async fn hidden_among(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let contents = self.contents();
        let is_hidden = |user: &&UserId| contents.audiences.get(user) == Some(&Audience::Nobody);
        Ok(users.iter().filter(is_hidden).copied().collect())
    }

    async fn mark_new(&self, user: UserId, life: Duration) -> Result<()> {
        let mut contents = self.contents();
        let until = contents.until(life);
        contents.new_accounts.insert(user, until);
        Ok(())
    }

    async fn is_new(&self, user: UserId) -> Result<bool> {
        let contents = self.contents();
        Ok(contents.new_accounts.get(&user).is_some_and(|until| *until > contents.now_ms))
    }
}
