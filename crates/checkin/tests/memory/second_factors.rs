//! Second factors and pending steps.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{Admitted, NewEpoch, PendingName, PendingSteps, Result, SecondFactors};

use crate::store::MemoryStorage;

#[async_trait]
impl SecondFactors for MemoryStorage {
    async fn second_factor(&self, user: UserId) -> Result<Option<String>> {
        Ok(self.contents().users.get(&user).and_then(|stored| stored.second_factor.clone()))
    }

    async fn replace_second_factor(
        &self,
        user: UserId,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<bool> {
        let mut contents = self.contents();
        let stored = contents.users.get_mut(&user);
        let Some(stored) = stored.filter(|stored| stored.second_factor.as_deref() == expected)
        else {
            return Ok(false);
        };
        stored.second_factor = new.map(str::to_owned);
        Ok(true)
    }

    async fn change_second_factor(
        &self,
        user: UserId,
        by: &Admitted,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<Option<NewEpoch>> {
        let mut contents = self.contents();
        let stored = contents.admitting(user, Some(by));
        let Some(stored) = stored.filter(|stored| stored.second_factor.as_deref() == expected)
        else {
            return Ok(None);
        };
        stored.second_factor = new.map(str::to_owned);
        Ok(contents.raise(user, by.handle.clone()))
    }
}

#[async_trait]
impl PendingSteps for MemoryStorage {
    async fn keep_pending(&self, name: &PendingName, step: &str, life: Duration) -> Result<()> {
        let mut contents = self.contents();
        let end_ms = contents.until(life);
        contents.pending.insert(name.as_str().to_owned(), (step.to_owned(), end_ms));
        Ok(())
    }

    async fn pending(&self, name: &PendingName) -> Result<Option<String>> {
        let contents = self.contents();
        let kept = contents.pending.get(name.as_str());
        Ok(kept.filter(|(_, end_ms)| *end_ms > contents.now_ms).map(|(step, _)| step.clone()))
    }

    async fn take_pending(&self, name: &PendingName) -> Result<Option<String>> {
        let mut contents = self.contents();
        let taken = contents.pending.remove(name.as_str());
        Ok(taken.filter(|(_, end_ms)| *end_ms > contents.now_ms).map(|(step, _)| step))
    }
}
