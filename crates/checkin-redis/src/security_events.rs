//! Security events in Redis: a stream for each list.

use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use checkin_storage::{
    EventList, EventPosition, RecordedEvent, Result, SecurityEvent, SecurityEvents, StorageError,
};
use futures_util::future::join_all;

use crate::RedisStorage;
use crate::clock::milliseconds;
use crate::entry::{self, RawEntry};
use crate::partition::Partition;

#[async_trait]
impl SecurityEvents for RedisStorage {
    async fn record_event(
        &self,
        list: EventList,
        event: &SecurityEvent,
        number: u64,
    ) -> Result<()> {
        let SecurityEvent { kind, account, address, source, detail } = event;
        let key = self.redis.keys.security_events(list);
        let (account, address) =
            (account.map(|id| id.to_string()), address.map(|ip| ip.to_string()));
        let fields = [
            ("kind", Some(kind.as_str())),
            ("account", account.as_deref()),
            ("address", address.as_deref()),
            ("source", Some(source)),
            ("detail", detail.as_deref()),
        ];
        let number = number.to_string();
        let mut add = vec!["XADD", &key, "MAXLEN", &number, "*"];
        add.extend(fields.iter().filter_map(|(name, value)| Some([*name, (*value)?])).flatten());
        self.redis.call(&add).await.map(drop)
    }

    async fn remove_old_events(&self, age: Duration) -> Result<bool> {
        // By the clock of Redis, which gives events their times: that of this process may be far ahead.
        let now_ms = Partition { redis: &self.redis, number: 0 }.clock_ms().await?;
        let oldest = now_ms.saturating_sub(milliseconds(age)).to_string();
        let removed = EventList::ALL.map(|list| self.remove_before(list, &oldest));
        let removed: Result<()> = join_all(removed).await.into_iter().collect();
        removed.map(|()| false)
    }

    async fn security_events(
        &self,
        list: EventList,
        after: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        self.events_behind(("XRANGE", "+"), list, after, limit).await
    }

    async fn latest_security_events(
        &self,
        list: EventList,
        before: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        self.events_behind(("XREVRANGE", "-"), list, before, limit).await
    }
}

impl RedisStorage {
    /// Removes the events before a time (ms).
    async fn remove_before(&self, list: EventList, oldest: &str) -> Result<()> {
        let key = self.redis.keys.security_events(list);
        self.redis.call(&["XTRIM", &key, "MINID", oldest]).await.map(drop)
    }

    /// Returns the events behind a position, in the order of a command, which reads up to this end of the list.
    async fn events_behind(
        &self,
        (command, end): (&str, &str),
        list: EventList,
        position: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>> {
        let (key, limit) = (self.redis.keys.security_events(list), limit.to_string());
        let read = |entry: &RawEntry| {
            let label = format!("{key} {}", entry.id);
            self.redis.reports.logged(label, recorded(entry)).ok()
        };
        let mut behind = format!("({}-{}", position.ms, position.seq);
        loop {
            let page = self.redis.call(&[command, &key, &behind, end, "COUNT", &limit]).await?;
            let page = entry::read_all(page)?;
            let found: Vec<RecordedEvent> = page.iter().filter_map(read).collect();
            match page.last() {
                // An empty result means that there is no further event.
                Some(last) if found.is_empty() => behind = format!("({}", last.id),
                _ => return Ok(found),
            }
        }
    }
}

fn recorded(entry: &RawEntry) -> Result<RecordedEvent> {
    fn wrong(name: &str, rule: impl Display) -> StorageError {
        StorageError::unreadable(format!("{name} {rule}"))
    }
    let value = |name| entry.value(name);
    let kind = value("kind").unwrap_or_default().parse().map_err(|rule| wrong("kind", rule))?;
    let account = value("account").map(str::parse).transpose();
    let address = value("address").map(str::parse).transpose();
    let event = SecurityEvent {
        kind,
        account: account.map_err(|rule| wrong("account", rule))?,
        address: address.map_err(|_| wrong("address", "must be an address"))?,
        source: value("source").unwrap_or_default().to_owned(),
        detail: value("detail").map(str::to_owned),
    };
    Ok(RecordedEvent { position: EventPosition { ms: entry.id.ms, seq: entry.id.seq }, event })
}
