//! Which sessions an account has.

use bytes::Bytes;
use tower_express_session::SessionId;

use super::*;
use crate::storage::{MAX_NOTED, NotedSession};

const DAY: Duration = Duration::from_secs(86_400);
const AL: &str = "al@example.com";

/// Stores a session as a login at an Express service does, noted nowhere.
async fn logged_in(subject: &Subject, email: &str, ttl: Duration) -> SessionId {
    let id = SessionId::generate().unwrap();
    let value = format!(r#"{{"cookie":{{"path":"/"}},"user":"{email}","n":1e400}}"#);
    subject.sessions.overwrite(&id, Bytes::from(value), ttl).await.unwrap();
    id
}

async fn noted(subject: &Subject, since_ms: u64, ttl: Duration) -> NotedSession {
    let id = logged_in(subject, AL, ttl).await;
    let (device, address) = ("Firefox \"1\"".to_owned(), "192.0.2.1".to_owned());
    let session = NotedSession { id, since_ms, device, address };
    subject.storage.note(user_id(1), &session).await.unwrap();
    session
}

async fn listed(subject: &Subject) -> Vec<NotedSession> {
    subject.storage.list(user_id(1), &AL.parse().unwrap()).await.unwrap()
}

pub(in crate::storage) async fn an_account_lists_its_own_sessions(subject: Subject) {
    assert_eq!(listed(&subject).await, []);
    let (old, new) = (noted(&subject, 1, DAY).await, noted(&subject, 2, DAY).await);
    assert_eq!(listed(&subject).await, [new.clone(), old.clone()]);
    let nobody = subject.storage.list(user_id(2), &AL.parse().unwrap()).await.unwrap();
    assert_eq!(nobody, []);
    subject.storage.forget(user_id(1), &new.id).await.unwrap();
    assert_eq!(listed(&subject).await, [old]);
}

pub(in crate::storage) async fn what_ended_or_changed_hands_is_not_listed(subject: Subject) {
    let kept = noted(&subject, 1, DAY).await;
    let destroyed = noted(&subject, 2, DAY).await;
    subject.sessions.destroy(&destroyed.id, std::time::Duration::from_secs(60)).await.unwrap();
    noted(&subject, 3, Duration::from_secs(1)).await;
    let given_away = noted(&subject, 4, DAY).await;
    for value in [r#"{"cookie":{},"user":"eve@example.com"}"#, "not JSON"] {
        subject.sessions.overwrite(&given_away.id, value.into(), DAY).await.unwrap();
        (subject.advance)(Duration::from_millis(1100)).await;
        assert_eq!(listed(&subject).await, std::slice::from_ref(&kept));
    }
}

pub(in crate::storage) async fn sessions_that_others_made_are_found(subject: Subject) {
    let ours = noted(&subject, 1, DAY).await;
    let theirs = logged_in(&subject, "AL@example.com", DAY).await;
    logged_in(&subject, "eve@example.com", DAY).await;
    let found = subject.storage.find(user_id(1), &AL.parse().unwrap()).await.unwrap();
    let mut ids: Vec<_> = found.iter().map(|session| session.id.as_str()).collect();
    let mut expected = [ours.id.as_str(), theirs.as_str()];
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert_eq!(listed(&subject).await.len(), 2, "what was found is noted");
}

pub(in crate::storage) async fn the_oldest_entries_make_room(subject: Subject) {
    for since in 0..MAX_NOTED as u64 + 3 {
        noted(&subject, since, DAY).await;
    }
    let listed = listed(&subject).await;
    assert_eq!((listed.len(), listed.last().unwrap().since_ms), (MAX_NOTED, 3));
}
