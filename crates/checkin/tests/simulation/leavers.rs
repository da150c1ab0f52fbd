//! Users who delete their accounts, and the searches that erase these.

use std::sync::Arc;
use std::time::Duration;

use checkin_domain::UserId;
use checkin_storage::{AccountChange, Retractions, Status, Users};
use tokio::time::{sleep, timeout};

use crate::deployment::Deployment;
use crate::network::Process;

/// The number of processes that erase an account at the same time, as after a lost lease.
const SEARCHES: usize = 2;

/// The number of check-ins that are retracted at once.
const LIMIT: usize = 3;

/// Deletes an account, and erases it until all of it is gone.
pub(crate) async fn delete_account(deployment: Arc<Deployment>, user: u64) {
    let most = deployment.plan.duration.as_millis() as u64;
    let pause = deployment.world.lock().random.u64(0..most);
    sleep(Duration::from_millis(pause)).await;
    deployment.world.lock().watch.leaving(user);
    let id = UserId::try_from(user).unwrap();
    let name = format!("auth of {user}");
    let storage = deployment.process(&name).storage(deployment.plan.partitions);
    while storage.change_account(id, None, AccountChange::Status(Status::Deleted)).await.is_err() {
        deployment.pause_after_failure().await;
    }
    let erase = |number: usize| deployment.erase(id, format!("{name}, search {number}"));
    futures_util::future::join_all((0..SEARCHES).map(erase)).await;
}

impl Deployment {
    /// Erases a deleted account as a search does. Its process may end at any moment, and another one begins again.
    async fn erase(&self, id: UserId, name: String) {
        loop {
            let process = self.process(&name);
            let storage = process.storage(self.plan.partitions);
            let life = Duration::from_millis(self.world.lock().random.u64(50..4000));
            let erase = async {
                let mut from = None;
                loop {
                    from = storage.retract_all(id, from, LIMIT).await?;
                    if from.is_none() {
                        return storage.erase(id).await;
                    }
                }
            };
            let erased = timeout(life, erase).await;
            process.end();
            if matches!(erased, Ok(Ok(true))) {
                return;
            }
            self.pause_after_failure().await;
        }
    }

    fn process(&self, name: &str) -> Arc<Process> {
        Process::new(&self.world, name, &self.plan, true)
    }

    async fn pause_after_failure(&self) {
        let pause = self.world.lock().random.u64(10..150);
        sleep(Duration::from_millis(pause)).await;
    }
}
