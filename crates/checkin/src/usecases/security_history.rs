//! Reads the security events of all lists, the newest first, in pages.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use futures_util::future::try_join_all;

use crate::domain::UserId;
use crate::storage::{
    EventKind, EventList, EventPosition, RecordedEvent, SecurityEvents, StorageError,
};

/// The maximum number of events that are read at once.
const READ: usize = 500;

/// The maximum number of events that are looked at for a page: there may be a million, and few that are wanted.
const MAX_LOOKED_AT: usize = 5_000;

/// Which events are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventFilter {
    /// Only those of this account.
    pub(crate) account: Option<UserId>,
    /// Only those of this kind.
    pub(crate) kind: Option<EventKind>,
}

/// A page of events, the newest first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<RecordedEvent>,
    /// What the next page begins behind; `None` if there is none. With a filter, a page may have few events or
    /// none, and a next one.
    pub(crate) next: Option<EventCursor>,
}

/// An event in the order of all lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventCursor {
    list: EventList,
    position: EventPosition,
}

impl EventFilter {
    fn wants_all(&self) -> bool {
        self.account.is_none() && self.kind.is_none()
    }

    fn wants(&self, recorded: &RecordedEvent) -> bool {
        self.account.is_none_or(|account| recorded.event.account == Some(account))
            && self.kind.is_none_or(|kind| recorded.event.kind == kind)
    }
}

/// Returns at most `limit` events behind a cursor, or the newest ones.
///
/// # Errors
///
/// If the store cannot be read.
pub(crate) async fn latest(
    store: &dyn SecurityEvents,
    filter: EventFilter,
    after: Option<EventCursor>,
    limit: usize,
) -> Result<EventPage, StorageError> {
    let lists = EventList::ALL.into_iter();
    let lists = lists.filter(|list| filter.kind.is_none_or(|kind| list.may_have(kind)));
    // Without a filter, a page needs no more than its events, and one that tells that there is a next page.
    let size = if filter.wants_all() { READ.min(limit + 1) } else { READ };
    let mut lists: Vec<Pages> = lists.map(|list| Pages::new(list, after, size)).collect();
    try_join_all(lists.iter_mut().map(|pages| pages.fill(store))).await?;
    let (mut events, mut last) = (Vec::new(), None);
    for looked_at in 0.. {
        let Some(pages) = newest(&mut lists) else { break };
        if events.len() == limit || looked_at == MAX_LOOKED_AT {
            return Ok(EventPage { events, next: last });
        }
        let Some(recorded) = pages.page.pop_front() else { break };
        last = Some(EventCursor { list: pages.list, position: recorded.position });
        pages.fill(store).await?;
        if filter.wants(&recorded) {
            events.push(recorded);
        }
    }
    Ok(EventPage { events, next: None })
}

/// Returns the list that has the newest event that is left.
fn newest(lists: &mut [Pages]) -> Option<&mut Pages> {
    let head = |pages: &&mut Pages| {
        let head = pages.page.front()?.position;
        Some((head.ms, pages.list, head.seq))
    };
    lists.iter_mut().max_by_key(head).filter(|pages| !pages.page.is_empty())
}

/// A list of events, which is read in pages.
struct Pages {
    list: EventList,
    before: EventPosition,
    /// The number of events that are read at once.
    size: usize,
    page: VecDeque<RecordedEvent>,
    has_ended: bool,
}

impl Pages {
    fn new(list: EventList, after: Option<EventCursor>, size: usize) -> Self {
        let before = after.map_or(EventPosition::END, |cursor| cursor.bound(list));
        Self { list, before, size, page: VecDeque::new(), has_ended: false }
    }

    /// Reads the next page if none is left.
    async fn fill(&mut self, store: &dyn SecurityEvents) -> Result<(), StorageError> {
        if self.page.is_empty() && !self.has_ended {
            let page = store.latest_security_events(self.list, self.before, self.size).await?;
            self.page = page.into();
            match self.page.back() {
                Some(last) => self.before = last.position,
                None => self.has_ended = true,
            }
        }
        Ok(())
    }
}

impl EventCursor {
    /// Returns the position in a list that all events behind the cursor are before. Events of the same time are in
    /// the order of their lists.
    fn bound(self, list: EventList) -> EventPosition {
        let EventPosition { ms, .. } = self.position;
        match list.cmp(&self.list) {
            std::cmp::Ordering::Equal => self.position,
            std::cmp::Ordering::Less => EventPosition { ms: ms.saturating_add(1), seq: 0 },
            std::cmp::Ordering::Greater => EventPosition { ms, seq: 0 },
        }
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EventPosition { ms, seq } = self.position;
        write!(f, "{ms}-{seq}-{}", letter(self.list))
    }
}

impl FromStr for EventCursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let parse = || {
            let (numbers, list) = text.rsplit_once('-')?;
            let list = EventList::ALL.into_iter().find(|known| letter(*known) == list)?;
            let (ms, seq) = numbers.split_once('-')?;
            let number = |text: &str| {
                text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
            };
            Some(Self { list, position: EventPosition { ms: number(ms)?, seq: number(seq)? } })
        };
        parse().ok_or("must be the `next` of another page")
    }
}

/// Returns the letter of a list in a cursor. Cursors outlive an upgrade, so these letters stay.
fn letter(list: EventList) -> &'static str {
    match list {
        EventList::FailedLogins => "f",
        EventList::Changes => "o",
        EventList::Logins => "l",
        EventList::Operators => "p",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::storage::SecurityEvent;

    /// The lists, the oldest first.
    struct Lists([Vec<RecordedEvent>; 4]);

    #[async_trait]
    impl SecurityEvents for Lists {
        async fn record_event(
            &self,
            _list: EventList,
            _event: &SecurityEvent,
            _number: u64,
        ) -> Result<(), StorageError> {
            Ok(())
        }

        async fn remove_old_events(&self, _age: Duration) -> Result<bool, StorageError> {
            Ok(false)
        }

        async fn security_events(
            &self,
            _list: EventList,
            _after: EventPosition,
            _limit: usize,
        ) -> Result<Vec<RecordedEvent>, StorageError> {
            Ok(Vec::new())
        }

        async fn latest_security_events(
            &self,
            list: EventList,
            before: EventPosition,
            limit: usize,
        ) -> Result<Vec<RecordedEvent>, StorageError> {
            let events = self.0[list as usize].iter().rev();
            Ok(events.filter(|event| event.position < before).take(limit).cloned().collect())
        }
    }

    fn recorded(kind: EventKind, ms: u64, seq: u64) -> RecordedEvent {
        let account = UserId::try_from(1 + seq % 2).ok();
        let source = "auth".to_owned();
        let event = SecurityEvent { kind, account, address: None, source, detail: None };
        RecordedEvent { position: EventPosition { ms, seq }, event }
    }

    /// Reads all pages, and returns the events with the number of pages.
    async fn all(lists: &Lists, filter: EventFilter, limit: usize) -> (Vec<(u64, u64)>, usize) {
        let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = latest(lists, filter, after, limit).await.unwrap();
            assert!(page.events.len() <= limit);
            found.extend(page.events.iter().map(|event| (event.position.ms, event.position.seq)));
            pages += 1;
            // As a client sends it back.
            after = page.next.map(|next| next.to_string().parse().unwrap());
            if after.is_none() {
                return (found, pages);
            }
        }
    }

    #[tokio::test]
    async fn pages_have_each_event_once_and_the_newest_first() {
        // All lists have events of the same times.
        let of = |kind| (0..25).map(|at| recorded(kind, at / 5, at)).collect::<Vec<_>>();
        let (failed, revoked) = (EventKind::FailedLogin, EventKind::SessionsRevoked);
        let kinds = [failed, EventKind::PasswordChanged, EventKind::Login, revoked];
        let lists = Lists(kinds.map(of));
        let (whole, _) = all(&lists, EventFilter::default(), 200).await;
        assert_eq!(whole.len(), 100);
        assert!(whole.is_sorted_by(|one, next| one.0 >= next.0), "{whole:?}");
        for limit in [1, 2, 3, 7, 99, 100, 101] {
            let (found, pages) = all(&lists, EventFilter::default(), limit).await;
            assert_eq!((found, pages), (whole.clone(), 100_usize.div_ceil(limit)), "{limit}");
        }
        for kind in kinds {
            let kind = EventFilter { kind: Some(kind), account: None };
            assert_eq!(all(&lists, kind, 10).await.0.len(), 25);
        }
        let account = EventFilter { account: UserId::try_from(2).ok(), kind: None };
        assert_eq!(all(&lists, account, 10).await.0.len(), 48);
    }

    #[tokio::test]
    async fn a_page_ends_when_it_has_looked_at_many() {
        let events = (0..12_000).map(|at| recorded(EventKind::Login, at, 0)).collect();
        let lists = Lists([Vec::new(), Vec::new(), events, Vec::new()]);
        let nobody = EventFilter { account: UserId::try_from(9).ok(), kind: None };
        assert_eq!(all(&lists, nobody, 10).await, (Vec::new(), 3));
    }

    #[test]
    fn a_cursor_is_what_a_page_returned() {
        for text in ["0-0-f", "1783294200000-5-o", "1783294200000-5-l", "1-2-p"] {
            assert_eq!(
                text.parse::<EventCursor>().map(|cursor| cursor.to_string()),
                Ok(text.into())
            );
        }
        for text in ["", "1-2", "1-2-x", "-1-2-f", "+1-2-f", "1-2-3-f", "1-99999999999999999999-f"]
        {
            assert!(text.parse::<EventCursor>().is_err(), "{text}");
        }
    }
}
