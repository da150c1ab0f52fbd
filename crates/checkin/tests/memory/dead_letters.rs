//! Check-ins that cannot be applied.

use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;
use checkin_domain::Checkin;
use checkin_storage::{DeadLetter, DeadLetterId, DeadLetters, Replay, Result};

use crate::store::MemoryStorage;

/// A dead letter with its check-in, which may have left the log.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) letter: DeadLetter,
    pub(crate) checkin: Checkin,
}

#[async_trait]
impl DeadLetters for MemoryStorage {
    async fn dead_letters(
        &self,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let contents = self.contents();
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        Ok(contents.dead.range(behind).take(limit).map(|(_, dead)| dead.letter.clone()).collect())
    }

    async fn replay(&self, id: DeadLetterId) -> Result<Replay> {
        let mut contents = self.contents();
        let Some(checkin) = contents.dead.get(&id).map(|dead| dead.checkin.clone()) else {
            return Ok(Replay::Unknown);
        };
        if let Some(reason) = contents.count(&checkin) {
            return Ok(Replay::StillDead(reason.to_string()));
        }
        contents.dead.remove(&id);
        Ok(Replay::Applied)
    }
}
