//! Clients that delete check-ins.

use std::time::{Duration, Instant};

use testkit::Method;

use super::history::{AGAIN, ATTEMPTS, History, Kind, Visit, answer, has_key};
use crate::harness::CHECKIN;

/// One of so many check-ins is deleted.
const EVERY: u64 = 5;

/// After this time a check-in is mostly applied. Every second deletion waits so long.
const LATER: Duration = Duration::from_millis(600);

/// The pause of a client that has nothing to delete.
const PAUSE: Duration = Duration::from_millis(10);

/// A check-in that somebody will delete.
pub(super) struct Deletion {
    due: Instant,
    kind: Kind,
    visit: Visit,
    id: String,
}

impl History {
    /// Lets a client delete a check-in, at once or later, if its number is one of those.
    pub(super) fn may_delete(&self, number: u64, kind: Kind, visit: Visit, id: String) {
        if number % EVERY == EVERY - 1 {
            let is_late = (number / EVERY).is_multiple_of(2);
            let due = Instant::now() + if is_late { LATER } else { Duration::ZERO };
            self.deletions.lock().unwrap().push_back(Deletion { due, kind, visit, id });
        }
    }

    pub(super) async fn delete_checkins(self) {
        while !self.has_stopped() {
            match self.next_deletion() {
                Some(deletion) => self.delete(deletion).await,
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn next_deletion(&self) -> Option<Deletion> {
        let mut deletions = self.deletions.lock().unwrap();
        let at = deletions.iter().position(|deletion| deletion.due <= Instant::now())?;
        deletions.remove(at)
    }

    /// Deletes a check-in. If it came with a key, it is sent once more afterwards, as a retry that was held up.
    async fn delete(&self, Deletion { kind, visit, id, .. }: Deletion) {
        self.ledger(kind).get_mut(&visit).unwrap().is_deleting = true;
        let path = format!("{CHECKIN}/{id}?userId={}", visit.0);
        for attempt in 0..ATTEMPTS {
            let mut client = self.receiver(visit.0, attempt);
            let response = answer(client.request(Method::DELETE, &path).without_jar()).await;
            match response.map(|response| response.status) {
                Some(204) => {
                    self.ledger(kind).get_mut(&visit).unwrap().deleted = Some(Instant::now());
                    return self.repeat(kind, visit, &id).await;
                }
                Some(404) => {
                    self.forgotten.lock().unwrap().push(format!("{kind:?} deletion: 404"));
                    return;
                }
                None | Some(503) => tokio::time::sleep(AGAIN).await,
                Some(other) => return self.refuse(format!("{kind:?} deletion: {other}")),
            }
        }
    }

    async fn repeat(&self, kind: Kind, visit: Visit, id: &str) {
        if !has_key(visit.0) {
            return;
        }
        if self.attempt(kind, visit, 1).await.is_some_and(|answered| answered != id) {
            self.forgotten.lock().unwrap().push(format!("{kind:?} retry: another id"));
            // It is there again because the key was lost.
            self.ledger(kind).get_mut(&visit).unwrap().deleted = None;
        }
    }
}
