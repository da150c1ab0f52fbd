//! Users who delete their accounts, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Client, Method};
use tokio::task::JoinSet;

use super::history::{History, Kind, LOCATIONS, PACE, PASSWORD, USERS, answer, log_in};

/// The ids behind those of the other users.
pub(crate) const LEAVERS: u64 = 6;

/// The time from one to the next.
const PAUSE: Duration = Duration::from_millis(1200);

/// The check-ins that each of them has before.
const CHECKINS: u64 = 10;

/// The pause before a deletion is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// A user who has asked to delete the account.
pub(super) struct Leaver {
    /// A browser that was logged in before.
    pub(super) client: Client,
    /// When the deletion was confirmed.
    pub(super) confirmed: Option<Instant>,
}

impl History {
    pub(super) fn start_leavers(&self, auth: &Client, clients: &mut JoinSet<()>) {
        for number in 1..=LEAVERS {
            clients.spawn(self.clone().leave(number, auth.clone()));
        }
    }

    async fn leave(self, number: u64, auth: Client) {
        let user = USERS + number;
        tokio::time::sleep(PAUSE * (number as u32 - 1)).await;
        for number in 0..CHECKINS {
            self.make(Kind::Public, (user, number + 1, number % 6)).await;
            if number.is_multiple_of(3) {
                self.make(Kind::Private, (user, LOCATIONS + number + 1, number % 6)).await;
            }
            tokio::time::sleep(PACE).await;
        }
        let is_over = AtomicBool::new(false);
        let delete = async {
            self.delete_account(user, auth).await;
            is_over.store(true, Ordering::Relaxed);
        };
        tokio::join!(delete, self.check_in_until(user, &is_over));
    }

    /// Checks in on another device, which does not know that the account is being deleted.
    async fn check_in_until(&self, user: u64, is_over: &AtomicBool) {
        for number in CHECKINS.. {
            if is_over.load(Ordering::Relaxed) || self.has_stopped() {
                return;
            }
            self.make(Kind::Public, (user, number + 1, number % 6)).await;
            self.make(Kind::Private, (user, LOCATIONS + number + 1, number % 6)).await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Deletes the account. After a lost response, only another login tells whether it is deleted.
    async fn delete_account(&self, user: u64, auth: Client) {
        while !self.has_stopped() {
            let mut client = auth.clone();
            match log_in(&mut client, user).await {
                Some(200) => {
                    let leaver = Leaver { client: client.clone(), confirmed: None };
                    self.leavers.lock().unwrap().insert(user, leaver);
                    let body = json!({"currentPassword": PASSWORD});
                    let request = client.request(Method::DELETE, "/account").json(&body);
                    if answer(request).await.is_some_and(|answer| answer.status == 200) {
                        let mut leavers = self.leavers.lock().unwrap();
                        leavers.get_mut(&user).unwrap().confirmed = Some(Instant::now());
                        return;
                    }
                }
                Some(401) => return,
                _ => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
