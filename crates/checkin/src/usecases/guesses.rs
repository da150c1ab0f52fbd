//! Limits the attempts to give a password. They are counted in the store, for all processes together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;

use super::throttle::Quota;
use crate::domain::Email;
use crate::metrics::Throttled;
use crate::storage::{Attempt, Attempts, Budget, LONGEST_WAIT, PendingName, StorageError, Taken};
use crate::telemetry::chain;

/// Takes attempts from the budgets of those who give a password.
///
/// The attempts of unknown devices are counted per account, so that the password of an account cannot
/// be guessed from many networks, and per network, so that one password cannot be tried on many
/// accounts. A device that has logged in to the account before and a session of the account have a budget
/// of their own, so that the attempts of others cannot stop them. When it is used up, they are like unknown
/// devices.
#[derive(Clone)]
pub(crate) struct Guesses {
    attempts: Arc<dyn Attempts>,
    throttled: Throttled,
}

/// Who gives a password.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The network that the request came from, if it is known.
    pub(crate) address: Option<IpAddr>,
    /// The budget of a device that has logged in to this account before, or of a session of it.
    pub(crate) own: Option<Budget>,
}

/// An attempt that is taken.
#[derive(Debug)]
pub(crate) struct Guess {
    account: Budget,
    own: Option<Budget>,
    /// What was taken from its own budget, or else from that of the account.
    taken: Taken,
    network: Option<(Budget, Taken)>,
}

/// Why an attempt was not taken.
#[derive(Debug)]
pub(crate) enum GuessError {
    /// There were too many before.
    TooMany(Quota),
    /// The store failed.
    Storage(StorageError),
}

impl Guesses {
    /// Counts in this store, and what is refused in `throttled`.
    pub(crate) fn new(attempts: Arc<dyn Attempts>, throttled: Throttled) -> Self {
        Self { attempts, throttled }
    }

    /// Takes an attempt to give the password of this account, which may not exist.
    ///
    /// # Cancel safety
    ///
    /// An attempt may be taken even if the future is dropped.
    pub(crate) async fn take(&self, account: &Email, caller: Caller) -> Result<Guess, GuessError> {
        let account = Budget::of_account(account);
        if let Some(own) = caller.own {
            match self.attempts.take_attempt(&own).await? {
                Attempt::Taken(taken) => {
                    return Ok(Guess { account, own: Some(own), taken, network: None });
                }
                Attempt::Wait(wait) => {
                    self.throttled.known_failures.inc();
                    return Err(GuessError::TooMany(refused(&own, wait)));
                }
                Attempt::UsedUp => {}
            }
        }
        // Each is a step in another slot of a cluster. The one that refuses gives back the other.
        let network = match caller.address.map(Budget::of_network) {
            Some(network) => match self.attempts.take_attempt(&network).await? {
                Attempt::Taken(taken) => Some((network, taken)),
                attempt => {
                    self.throttled.address_failures.inc();
                    return Err(GuessError::TooMany(refused(&network, wait_of(attempt))));
                }
            },
            None => None,
        };
        let attempt = match self.attempts.take_attempt(&account).await {
            Ok(Attempt::Taken(taken)) => {
                return Ok(Guess { account, own: None, taken, network });
            }
            Ok(attempt) => {
                self.throttled.account_failures.inc();
                GuessError::TooMany(refused(&account, wait_of(attempt)))
            }
            Err(error) => error.into(),
        };
        self.return_to(network.as_ref()).await;
        Err(attempt)
    }

    /// Takes an attempt to give a code for the second factor of this account.
    ///
    /// # Cancel safety
    ///
    /// As [`take`](Self::take).
    pub(crate) async fn take_code(&self, account: &Email) -> Result<Guess, GuessError> {
        let account = Budget::of_second_factor(account);
        match self.attempts.take_attempt(&account).await? {
            Attempt::Taken(taken) => Ok(Guess { account, own: None, taken, network: None }),
            attempt => {
                self.throttled.account_failures.inc();
                Err(GuessError::TooMany(refused(&account, wait_of(attempt))))
            }
        }
    }

    /// Forgets the failures that came before a right second factor of this account.
    pub(crate) async fn forget_codes(&self, account: &Email) -> Result<(), StorageError> {
        self.attempts.forget_attempts(&Budget::of_second_factor(account)).await
    }

    /// Takes an attempt to continue a pending login or registration. Returns `None` if there were too many.
    ///
    /// # Cancel safety
    ///
    /// As [`take`](Self::take).
    pub(crate) async fn take_pending(
        &self,
        name: &PendingName,
    ) -> Result<Option<Guess>, StorageError> {
        let account = Budget::of_pending_step(name);
        Ok(match self.attempts.take_attempt(&account).await? {
            Attempt::Taken(taken) => Some(Guess { account, own: None, taken, network: None }),
            Attempt::Wait(_) | Attempt::UsedUp => None,
        })
    }

    /// Forgets the failures that came before a right password.
    ///
    /// # Errors
    ///
    /// If the store fails. The failures may still be counted then.
    pub(crate) async fn was_right(&self, guess: &Guess) -> Result<(), StorageError> {
        let own = async {
            match &guess.own {
                Some(own) => self.attempts.forget_attempts(own).await,
                None => Ok(()),
            }
        };
        let network = async {
            self.return_to(guess.network.as_ref()).await;
            Ok(())
        };
        let account = self.attempts.forget_attempts(&guess.account);
        try_join(account, try_join(own, network)).await.map(drop)
    }

    /// Gives back an attempt whose password was not compared.
    pub(crate) async fn give_back(&self, guess: Guess) {
        let counted = guess.own.unwrap_or(guess.account);
        self.return_to(Some(&(counted, guess.taken))).await;
        self.return_to(guess.network.as_ref()).await;
    }

    /// Gives back one attempt to its budget. If the store fails, it stays counted. The store logs an outage itself.
    async fn return_to(&self, taken: Option<&(Budget, Taken)>) {
        let Some((budget, taken)) = taken else { return };
        let given_back = self.attempts.give_back_attempt(budget, *taken).await;
        if let Some(error) = given_back.err().filter(|error| !error.is_logged()) {
            let cause = chain(&error);
            tracing::warn!(%cause, "an attempt to log in stays counted although it was no failure");
        }
    }
}

impl Guess {
    /// Returns how many more attempts are free if this one has failed.
    pub(crate) fn quota(&self) -> Quota {
        let budget = self.own.as_ref().unwrap_or(&self.account);
        let Taken { count, .. } = self.taken;
        let remaining = budget.allowance().free.saturating_sub(count);
        Quota { remaining, ..refused(budget, budget.allowance().wait_after(count)) }
    }
}

/// Returns the quota of a budget that allows no attempt for this time.
fn refused(budget: &Budget, wait: Duration) -> Quota {
    Quota { name: "passwords", limit: budget.allowance().free, window: None, remaining: 0, wait }
}

fn wait_of(attempt: Attempt) -> Duration {
    match attempt {
        Attempt::Wait(wait) => wait,
        // It is over when an operator sets a password. The client is told the same as before.
        Attempt::Taken(_) | Attempt::UsedUp => LONGEST_WAIT,
    }
}

impl From<StorageError> for GuessError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use checkin_sqlite::SqliteStorage;
    use sqlite_writer::Database;

    use super::*;

    const DEVICE: &[u8] = b"the owner's";

    struct Door {
        guesses: Guesses,
        seconds: Arc<AtomicU64>,
        email: Email,
        _directory: tempfile::TempDir,
    }

    impl Door {
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let database = Database::open(directory.path().join("checkin.db")).unwrap();
            let seconds = Arc::new(AtomicU64::new(1_788_220_800));
            let time = Arc::clone(&seconds);
            let clock = move || UNIX_EPOCH + Duration::from_secs(time.load(Ordering::Relaxed));
            let storage = SqliteStorage::open(database).await.unwrap().clock(clock);
            let guesses = Guesses::new(Arc::new(storage), Throttled::default());
            let email = "al@example.com".parse().unwrap();
            Self { guesses, seconds, email, _directory: directory }
        }

        async fn take(&self, caller: Caller) -> Result<Guess, GuessError> {
            self.guesses.take(&self.email, caller).await
        }

        /// Fails as often as the budget allows, and returns how often, and the last wait in seconds.
        async fn fail(&self, caller: impl Fn() -> Caller) -> (u32, u64) {
            let (mut count, mut last) = (0, 0);
            loop {
                match self.take(caller()).await {
                    Ok(_) => (count, last) = (count + 1, 0),
                    Err(GuessError::TooMany(quota))
                        if quota.wait == LONGEST_WAIT && last == 900 =>
                    {
                        return (count, last);
                    }
                    Err(GuessError::TooMany(quota)) => {
                        last = quota.wait.as_secs();
                        self.seconds.fetch_add(last, Ordering::Relaxed);
                    }
                    Err(GuessError::Storage(error)) => panic!("{error}"),
                }
            }
        }
    }

    fn stranger() -> Caller {
        Caller::default()
    }

    fn owner() -> Caller {
        Caller { address: None, own: Some(Budget::of_device(DEVICE)) }
    }

    #[tokio::test]
    async fn after_a_hundred_failures_only_a_known_device_may_try_until_it_is_right() {
        let door = Door::new().await;
        assert_eq!(door.fail(stranger).await, (100, 900));
        door.seconds.fetch_add(300 * 24 * 60 * 60, Ordering::Relaxed);
        assert!(door.take(stranger()).await.is_err());
        let guess = door.take(owner()).await.unwrap();
        assert_eq!(guess.quota().remaining, 4);
        door.guesses.was_right(&guess).await.unwrap();
        assert!(door.take(stranger()).await.is_ok());
    }

    #[tokio::test]
    async fn a_device_with_a_hundred_failures_is_an_unknown_one() {
        let door = Door::new().await;
        let (count, _) = door.fail(owner).await;
        assert_eq!(count, 200, "its own budget, and then that of the account");
    }

    #[tokio::test]
    async fn a_refusal_by_the_account_costs_the_network_nothing() {
        let door = Door::new().await;
        let colleague = || Caller { address: Some([192, 0, 2, 1].into()), own: None };
        for _ in 0..5 {
            door.take(stranger()).await.unwrap();
        }
        for _ in 0..110 {
            assert!(door.take(colleague()).await.is_err());
        }
        let other: Email = "bo@example.com".parse().unwrap();
        let guess = door.guesses.take(&other, colleague()).await.unwrap();
        assert_eq!(guess.network.as_ref().unwrap().1.count, 1);
        door.guesses.give_back(guess).await;
        let guess = door.guesses.take(&other, colleague()).await.unwrap();
        assert_eq!((guess.taken.count, guess.network.as_ref().unwrap().1.count), (1, 1));
    }
}
