//! Processors and leases.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::CheckinId;
use checkin_storage::{Lease, LiveProcessor, Membership, Rank, Result};

use crate::log::PARTS;
use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl Membership for MemoryStorage {
    async fn join(&self, processor: &str, lifetime: Duration) -> Result<usize> {
        let mut contents = self.contents();
        let (now, until) = (contents.now_ms, contents.until(lifetime));
        contents.processors.insert(processor.to_owned(), until);
        contents.processors.retain(|_, until| *until > now);
        let position = contents.processors.keys().filter(|name| name.as_str() < processor).count();
        Ok(Rank { position, of: contents.processors.len() }.share(PARTS))
    }

    async fn leave(&self, processor: &str) -> Result<()> {
        self.contents().processors.remove(processor);
        Ok(())
    }

    async fn acquire(
        &self,
        processor: &str,
        held: &[Lease],
        lifetime: Duration,
    ) -> Result<Option<Lease>> {
        let mut contents = self.contents();
        let leases = (0..PARTS).map(|part| Lease { part, processor: processor.to_owned() });
        let mut others = leases.filter(|lease| held.iter().all(|held| held.part != lease.part));
        Ok(others.find(|lease| contents.take(lease, lifetime).is_some()))
    }

    async fn renew(&self, lease: &Lease, lifetime: Duration) -> Result<Option<CheckinId>> {
        Ok(self.contents().take(lease, lifetime))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        let held = &mut self.contents().parts[lease.part].lease;
        held.take_if(|(processor, _)| *processor == lease.processor);
        Ok(())
    }

    async fn processors(&self) -> Result<Vec<LiveProcessor>> {
        let contents = self.contents();
        let now = contents.now_ms;
        let holds = |name: &String, part: &usize| {
            let held = contents.parts[*part].lease.as_ref();
            held.is_some_and(|(holder, until)| holder == name && *until > now)
        };
        let live = contents.processors.iter().filter(|(_, until)| **until > now);
        let processor = |(name, until): (&String, &u64)| LiveProcessor {
            name: name.clone(),
            expires_in: Duration::from_millis(until - now),
            parts: (0..PARTS).filter(|part| holds(name, part)).collect(),
        };
        Ok(live.map(processor).collect())
    }
}

impl Contents {
    /// Returns the checkpoint, or `None` if another processor holds the lease.
    fn take(&mut self, lease: &Lease, lifetime: Duration) -> Option<CheckinId> {
        let (now, until) = (self.now_ms, self.until(lifetime));
        let part = &mut self.parts[lease.part];
        let held = part.lease.as_ref().filter(|(_, until)| *until > now);
        if held.is_some_and(|(processor, _)| *processor != lease.processor) {
            return None;
        }
        part.lease = Some((lease.processor.clone(), until));
        Some(part.checkpoint)
    }
}
