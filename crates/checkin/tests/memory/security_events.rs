//! Logins and changes of accounts.

use std::time::Duration;

use async_trait::async_trait;
use checkin_storage::{
    EventList, EventPosition, RecordedEvent, Result, SecurityEvent, SecurityEvents,
};

use crate::store::MemoryStorage;

#[async_trait]
impl SecurityEvents for MemoryStorage {
    async fn record_event(
        &self,
        list: EventList,
        event: &SecurityEvent,
        number: u64,
    ) -> Result<()> {
        let mut contents = self.contents();
        let ms = contents.now_ms;
        let events = &mut contents.security_events[list as usize];
        let seq = events.last().map_or(1, |last| last.position.seq + 1);
        let position = EventPosition { ms, seq };
        events.push(RecordedEvent { position, event: event.clone() });
        let beyond = events.len().saturating_sub(number as usize);
        events.drain(..beyond);
        Ok(())
    }

    async fn remove_old_events(&self, age: Duration) -> Result<bool> {
        let mut contents = self.contents();
        let oldest_ms = contents.now_ms.saturating_sub(age.as_millis() as u64);
        for events in &mut contents.security_events {
            events.retain(|recorded| recorded.position.ms >= oldest_ms);
        }
        Ok(false)
    }

    async fn security_events(
        &self,
        list: EventList,
        after: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let contents = self.contents();
        let events = contents.security_events[list as usize].iter();
        let later = events.filter(|recorded| recorded.position > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn latest_security_events(
        &self,
        list: EventList,
        before: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let contents = self.contents();
        let events = contents.security_events[list as usize].iter().rev();
        let earlier = events.filter(|recorded| recorded.position < before);
        Ok(earlier.take(limit).cloned().collect())
    }
}
