//! The record of logins and of changes of accounts.

use super::*;
use crate::{EventKind, EventList, EventPosition, SecurityEvent};

const START: EventPosition = EventPosition { ms: 0, seq: 0 };
const MANY: u64 = 1000;

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
    let of_kind = |(number, kind): (usize, &EventKind)| SecurityEvent {
        account: (number % 3 > 0).then(|| user_id(number as u64)),
        address: (number % 2 > 0).then(|| "2001:db8::".parse().unwrap()),
        detail: (number % 4 > 0).then(|| "a \"detail\"".to_owned()),
        ..event(*kind, 1)
    };
    let all: Vec<SecurityEvent> = EventKind::ALL.iter().enumerate().map(of_kind).collect();
    let lists = EventList::ALL.map(|list| {
        let is_in = |event: &&SecurityEvent| list.may_have(event.kind);
        (list, all.iter().filter(is_in).cloned().collect::<Vec<_>>())
    });
    for (list, events) in &lists {
        for event in events {
            storage.record_event(*list, event, MANY).await.unwrap();
        }
    }
    for (list, events) in lists {
        let (mut after, mut found) = (START, Vec::new());
        loop {
            let page = storage.security_events(list, after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2 && page[0].position > after);
            after = last.position;
            found.extend(page.into_iter().map(|recorded| recorded.event));
        }
        assert_eq!(found, events);
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

pub async fn security_events_of_a_list_push_none_of_another_out(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    for (last, list) in (5..).zip(EventList::ALL) {
        for account in 1..=last {
            storage.record_event(list, &event(EventKind::Login, account), 3).await.unwrap();
        }
    }
    for (last, list) in (5..).zip(EventList::ALL) {
        assert_eq!(accounts(storage, list, START).await, [last - 2, last - 1, last]);
    }
}

pub async fn old_security_events_leave_all_lists(subject: StoreUnderTest) {
    let storage = &*subject.storage;
    let record = async |list, account| {
        storage.record_event(list, &event(EventKind::Login, account), MANY).await.unwrap();
    };
    for list in EventList::ALL {
        for account in 1..=250 {
            record(list, account).await;
        }
    }
    (subject.advance)(SHORT + Duration::from_millis(2)).await;
    record(EventList::Logins, 6).await;
    // A record removes nothing because of its age.
    for list in EventList::ALL {
        assert_eq!(accounts(storage, list, START).await.first(), Some(&1));
    }
    assert!(!storage.remove_old_events(Duration::from_secs(60)).await.unwrap());
    assert_eq!(accounts(storage, EventList::Changes, START).await.first(), Some(&1));
    while storage.remove_old_events(SHORT).await.unwrap() {}
    for list in EventList::ALL {
        let left = if list == EventList::Logins { vec![6] } else { vec![] };
        assert_eq!(accounts(storage, list, START).await, left);
    }
    assert!(!storage.remove_old_events(SHORT).await.unwrap());
}
