//! The attempts to give a password.

use async_trait::async_trait;
use checkin_storage::{Attempt, Attempts, Budget, Counted, Result, Taken};

use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl Attempts for MemoryStorage {
    async fn take_attempt(&self, budget: &Budget) -> Result<Attempt> {
        let mut contents = self.contents();
        let attempt = budget.allowance().take(counted(&contents, budget), contents.now_ms);
        if let Attempt::Taken(taken) = attempt {
            let forgotten = budget.allowance().forgotten_after(taken.count);
            let new_end = forgotten.map(|time| contents.now_ms + time.as_millis() as u64);
            let entry = contents.attempts.entry(budget.name().to_owned()).or_default();
            *entry = (taken, new_end.unwrap_or(entry.1));
        }
        Ok(attempt)
    }

    async fn give_back_attempt(&self, budget: &Budget, taken: Taken) -> Result<()> {
        if let Some((counted, _)) = self.contents().attempts.get_mut(budget.name()) {
            *counted = budget.allowance().give_back(*counted, taken);
        }
        Ok(())
    }

    async fn forget_attempts(&self, budget: &Budget) -> Result<()> {
        self.contents().attempts.remove(budget.name());
        Ok(())
    }
}

fn counted(contents: &Contents, budget: &Budget) -> Counted {
    let found = contents.attempts.get(budget.name());
    found.filter(|(_, end_ms)| *end_ms > contents.now_ms).map_or_else(Counted::default, |it| it.0)
}
