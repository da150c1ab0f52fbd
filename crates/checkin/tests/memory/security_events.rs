//! Logins and changes of accounts.

use async_trait::async_trait;
use checkin_storage::{
    EventBounds, EventList, EventPosition, RecordedEvent, Result, SecurityEvent, SecurityEvents,
};

use crate::store::{Contents, MemoryStorage};

#[async_trait]
impl SecurityEvents for MemoryStorage {
    async fn record_event(&self, event: &SecurityEvent, bounds: EventBounds) -> Result<()> {
        let mut contents = self.contents();
        let ms = contents.now_ms;
        let list = list(&mut contents, event.kind.list());
        let seq = list.last().map_or(1, |last| last.position.seq + 1);
        let position = EventPosition { ms, seq };
        list.push(RecordedEvent { position, event: event.clone() });
        let beyond = list.len().saturating_sub(bounds.number as usize);
        list.drain(..beyond);
        let age_ms = bounds.age.as_millis() as u64;
        list.retain(|recorded| recorded.position.ms >= ms.saturating_sub(age_ms));
        Ok(())
    }

    async fn security_events(
        &self,
        of: EventList,
        after: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let mut contents = self.contents();
        let later = list(&mut contents, of).iter().filter(|recorded| recorded.position > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn latest_security_events(
        &self,
        of: EventList,
        before: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let mut contents = self.contents();
        let earlier = list(&mut contents, of).iter().rev();
        let earlier = earlier.filter(|recorded| recorded.position < before);
        Ok(earlier.take(limit).cloned().collect())
    }
}

fn list(contents: &mut Contents, list: EventList) -> &mut Vec<RecordedEvent> {
    match list {
        EventList::FailedLogins => &mut contents.failed_logins,
        EventList::Others => &mut contents.security_events,
    }
}
