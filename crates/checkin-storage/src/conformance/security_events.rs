//! The record of logins and of changes of accounts.

use super::*;
use crate::{EventBounds, EventKind, EventList, EventPosition, SecurityEvent};

const START: EventPosition = EventPosition { ms: 0, seq: 0 };
const YEAR: EventBounds =
    EventBounds { age: Duration::from_secs(365 * 24 * 60 * 60), number: 1000 };

fn event(kind: EventKind, account: u64) -> SecurityEvent {
    SecurityEvent {
        kind,
        account: Some(user_id(account)),
        address: Some([10, 0, 0, 7].into()),
        source: "auth".to_owned(),
        detail: None,
    }
}

/// Returns the accounts of a list, which identify the events.
async fn accounts(storage: &dyn Storage, list: EventList, after: EventPosition) -> Vec<u64> {
    let found = storage.security_events(list, after, 100).await.unwrap();
    found.iter().map(|found| found.event.account.unwrap().get()).collect()
}

pub async fn security_events_are_read_in_order_and_in_pages(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let all: Vec<SecurityEvent> = EventKind::ALL
        .iter()
        .enumerate()
        .map(|(number, kind)| SecurityEvent {
            account: (number % 3 > 0).then(|| user_id(number as u64)),
            address: (number % 2 > 0).then(|| "2001:db8::".parse().unwrap()),
            detail: (number % 4 > 0).then(|| "a \"detail\"".to_owned()),
            ..event(*kind, 1)
        })
        .collect();
    for event in &all {
        storage.record_event(event, YEAR).await.unwrap();
    }
    for list in [EventList::FailedLogins, EventList::Others] {
        let (mut after, mut found) = (START, Vec::new());
        loop {
            let page = storage.security_events(list, after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2 && page[0].position > after);
            after = last.position;
            found.extend(page.into_iter().map(|recorded| recorded.event));
        }
        let of_list = all.iter().filter(|event| event.kind.list() == list);
        assert_eq!(found, of_list.cloned().collect::<Vec<_>>());
        assert_eq!(
            storage.security_events(list, EventPosition::before(0), 100).await.unwrap().len(),
            found.len()
        );
        let later = EventPosition::before(after.ms + 1);
        assert_eq!(storage.security_events(list, later, 100).await.unwrap(), []);
        let last =
            storage.security_events(list, EventPosition::before(after.ms), 100).await.unwrap();
        assert_eq!(last.last().unwrap().position, after);
        // In the other direction, from the end on.
        let (mut before, mut latest) = (EventPosition::END, Vec::new());
        loop {
            let page = storage.latest_security_events(list, before, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2 && page[0].position < before);
            before = last.position;
            latest.extend(page.into_iter().map(|recorded| recorded.event));
        }
        latest.reverse();
        assert_eq!(latest, found);
    }
}

pub async fn security_events_are_bounded_and_failed_logins_push_no_other_out(
    subject: StoreUnderTest,
) {
    let storage = &*subject.storage;
    let few = EventBounds { number: 3, ..YEAR };
    for account in 1..=5 {
        storage.record_event(&event(EventKind::Login, account), few).await.unwrap();
    }
    for account in 1..=9 {
        storage.record_event(&event(EventKind::FailedLogin, account), few).await.unwrap();
    }
    assert_eq!(accounts(storage, EventList::Others, START).await, [3, 4, 5]);
    assert_eq!(accounts(storage, EventList::FailedLogins, START).await, [7, 8, 9]);
    let age = Duration::from_millis(300);
    (subject.advance)(age + Duration::from_millis(2)).await;
    let young = EventBounds { age, ..YEAR };
    storage.record_event(&event(EventKind::Logout, 6), young).await.unwrap();
    assert_eq!(accounts(storage, EventList::Others, START).await, [6]);
    assert_eq!(accounts(storage, EventList::FailedLogins, START).await, [7, 8, 9]);
}
