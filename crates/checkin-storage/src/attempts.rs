//! The attempts to give a password, which are counted so that passwords cannot be guessed.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::{PendingName, Result};
use checkin_domain::Email;

/// The wait after the first attempt that is not free. Each further one doubles it.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The maximum wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Counts the attempts of each [`Budget`].
///
/// # Contract
///
/// - An attempt is taken in one step: of many attempts at the same time, in several processes, only
///   those that the budget allows are taken.
/// - An attempt is taken before the password is compared. It is given back if it was not a failure, so
///   that the counted ones are failures, and attempts whose end is not known yet.
/// - The clock of the store decides how long to wait, and when attempts are forgotten.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Takes an attempt, if the budget allows one now.
    async fn take_attempt(&self, budget: &Budget) -> Result<Attempt>;

    /// Gives back an attempt of which it is not known whether it would have failed.
    async fn give_back_attempt(&self, budget: &Budget, taken: Taken) -> Result<()>;

    /// Forgets all attempts of a budget, because one was right.
    async fn forget_attempts(&self, budget: &Budget) -> Result<()>;
}

/// Attempts that are counted together, and how many of them are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    name: String,
    allowance: Allowance,
}

/// How many attempts a budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The number of attempts without a wait. After each further one, the next has to wait.
    pub free: u32,
    /// The maximum number of attempts; `None` means that only the waits limit them.
    pub most: Option<u32>,
    /// When the attempts are forgotten.
    pub forgotten: Forgotten,
}

/// When the attempts of a budget are forgotten, all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// This time after the first one.
    AfterFirst(Duration),
    /// This time after the last one, for each of them.
    ForEach(Duration),
}

/// The attempts of a budget, as a store keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of attempts.
    pub count: u32,
    /// The time until which the next one has to wait, in milliseconds since 1970; 0 if it need not.
    pub until_ms: u64,
}

/// The result of [`Attempts::take_attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The attempt is taken.
    Taken(Taken),
    /// The next attempt may be taken after this time.
    Wait(Duration),
    /// The maximum number of attempts is taken.
    UsedUp,
}

/// An attempt that is taken: the attempts that are counted with it.
pub type Taken = Counted;

impl Allowance {
    /// For the passwords of one account. Forgetting adds less than one attempt in four days, so that in
    /// 400 days nobody can try more than the maximum number.
    pub const OF_ACCOUNT: Self =
        Self { free: 5, most: Some(100), forgotten: Forgotten::ForEach(DAY.saturating_mul(4)) };

    /// For all accounts from one network, which a whole office may share.
    pub const OF_NETWORK: Self =
        Self { free: 100, most: None, forgotten: Forgotten::AfterFirst(DAY) };

    /// For one pending login or registration, which ends with the fifth failure within five minutes.
    pub const OF_PENDING_STEP: Self = Self {
        free: 5,
        most: Some(5),
        forgotten: Forgotten::AfterFirst(Duration::from_secs(5 * 60)),
    };

    /// For the messages of one kind to one address.
    pub const OF_MESSAGES: Self = Self {
        free: 3,
        most: Some(3),
        forgotten: Forgotten::AfterFirst(Duration::from_secs(60 * 60)),
    };

    /// Decides whether an attempt is taken, and returns what is counted then.
    #[must_use]
    pub fn take(&self, counted: Counted, now_ms: u64) -> Attempt {
        if self.most.is_some_and(|most| counted.count >= most) {
            return Attempt::UsedUp;
        }
        if let Some(wait_ms @ 1..) = counted.until_ms.checked_sub(now_ms) {
            // If the clock was set back, the end of the wait may be far away.
            return Attempt::Wait(Duration::from_millis(wait_ms).min(LONGEST_WAIT));
        }
        let count = counted.count.saturating_add(1);
        let wait_ms = self.wait_after(count).as_millis() as u64;
        let until_ms = if wait_ms == 0 { 0 } else { now_ms.saturating_add(wait_ms) };
        Attempt::Taken(Taken { count, until_ms })
    }

    /// Returns what is counted when an attempt is given back.
    #[must_use]
    pub fn give_back(&self, counted: Counted, taken: Taken) -> Counted {
        let count = counted.count.saturating_sub(1);
        // Other attempts that were taken later have a wait of their own.
        let is_over = count < self.free || counted.until_ms == taken.until_ms;
        Counted { count, until_ms: if is_over { 0 } else { counted.until_ms } }
    }

    /// Returns how long the next attempt has to wait after this number of attempts.
    #[must_use]
    pub fn wait_after(&self, count: u32) -> Duration {
        match count.checked_sub(self.free) {
            Some(beyond) => FIRST_WAIT.saturating_mul(1 << beyond.min(20)).min(LONGEST_WAIT),
            None => Duration::ZERO,
        }
    }

    /// Returns the time after which the attempts are forgotten, if it changes with this one.
    #[must_use]
    pub fn forgotten_after(&self, count: u32) -> Option<Duration> {
        match self.forgotten {
            Forgotten::AfterFirst(time) => (count == 1).then_some(time),
            Forgotten::ForEach(time) => Some(time.saturating_mul(count)),
        }
    }
}

impl Budget {
    /// Returns the budget of unknown devices for the password of this account, whether it exists or not.
    #[must_use]
    pub fn of_account(email: &Email) -> Self {
        Self::of("account", email.canonical().as_bytes(), Allowance::OF_ACCOUNT)
    }

    /// Returns the budget of a device that has logged in to an account before.
    #[must_use]
    pub fn of_device(device: &[u8]) -> Self {
        Self::of("device", device, Allowance::OF_ACCOUNT)
    }

    /// Returns the budget of a session for the password of its own account.
    #[must_use]
    pub fn of_session(id: &str) -> Self {
        Self::of("session", id.as_bytes(), Allowance::OF_ACCOUNT)
    }

    /// Returns the budget of a network for the passwords of all accounts.
    #[must_use]
    pub fn of_network(address: IpAddr) -> Self {
        Self::of("network", address.to_string().as_bytes(), Allowance::OF_NETWORK)
    }

    /// Returns the budget of the codes for the second factor of this account, whoever gives them: they have
    /// given the password before.
    #[must_use]
    pub fn of_second_factor(email: &Email) -> Self {
        Self::of("second factor", email.canonical().as_bytes(), Allowance::OF_ACCOUNT)
    }

    /// Returns the budget of a pending login, whichever second factor is given, or of a pending registration. Its
    /// name is that of earlier versions, which may run at the same time.
    #[must_use]
    pub fn of_pending_step(name: &PendingName) -> Self {
        Self::of("pending login", name.as_str().as_bytes(), Allowance::OF_PENDING_STEP)
    }

    /// Returns the budget of the messages about a forgotten password to this address.
    #[must_use]
    pub fn of_reset_messages(email: &Email) -> Self {
        Self::of("reset messages", email.canonical().as_bytes(), Allowance::OF_MESSAGES)
    }

    /// Returns the budget of the messages about a registration to this address, and to all others that most
    /// servers deliver to the same person.
    #[must_use]
    pub fn of_registration_messages(email: &Email) -> Self {
        Self::of("registration messages", email.mailbox().as_bytes(), Allowance::OF_MESSAGES)
    }

    /// The name is a hash, so that it is short and shows neither an address nor a secret. It has no key:
    /// a command of an operator, and processes whose secrets are being replaced, find the same count.
    fn of(kind: &str, whose: &[u8], allowance: Allowance) -> Self {
        let hash =
            Sha256::new().chain_update(kind).chain_update([0]).chain_update(whose).finalize();
        let name = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { name, allowance }
    }

    /// Returns the name under which a store keeps the budget: 32 hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many attempts it allows.
    #[must_use]
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_788_220_800_000;

    #[test]
    fn five_attempts_are_free_and_then_the_waits_double_until_all_are_used_up() {
        let (allowance, mut counted, mut now_ms) =
            (Allowance::OF_ACCOUNT, Counted::default(), NOW_MS);
        let mut waits = Vec::new();
        while let Attempt::Taken(taken) = allowance.take(counted, now_ms) {
            let wait_ms = taken.until_ms.saturating_sub(now_ms);
            if wait_ms > 0 && taken.count < 100 {
                let early = allowance.take(taken, taken.until_ms - 1);
                assert_eq!(early, Attempt::Wait(Duration::from_millis(1)));
            }
            waits.push(wait_ms / 1000);
            (counted, now_ms) = (taken, now_ms + wait_ms);
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!((waits.len(), waits[14], waits[99]), (100, 900, 900));
        assert_eq!(allowance.take(counted, u64::MAX), Attempt::UsedUp);
        assert_eq!(Allowance::OF_NETWORK.wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn attempts_are_forgotten_so_slowly_that_forgetting_allows_none_more() {
        let account = |count| Allowance::OF_ACCOUNT.forgotten_after(count).unwrap();
        assert_eq!((account(1), account(100)), (DAY * 4, DAY * 400));
        let network = |count| Allowance::OF_NETWORK.forgotten_after(count);
        assert_eq!((network(1), network(2)), (Some(DAY), None));
    }

    #[test]
    fn an_attempt_that_is_given_back_takes_its_own_wait_along() {
        let allowance = Allowance::OF_ACCOUNT;
        let counted = |count, until_ms| Counted { count, until_ms };
        for (before, taken, after) in [
            (counted(1, 0), counted(1, 0), counted(0, 0)),
            (counted(5, 9), counted(5, 9), counted(4, 0)),
            (counted(5, 9), counted(2, 0), counted(4, 0)),
            (counted(7, 9), counted(7, 9), counted(6, 0)),
            (counted(8, 19), counted(7, 9), counted(7, 19)),
            (counted(0, 0), counted(3, 0), counted(0, 0)),
        ] {
            assert_eq!(allowance.give_back(before, taken), after, "{before:?} {taken:?}");
        }
    }

    #[test]
    fn budgets_have_names_of_their_own() {
        let email = |text: &str| Budget::of_account(&text.parse().unwrap()).name().to_owned();
        assert_eq!(email("Al@Example.com"), email("al@EXAMPLE.com"));
        assert_ne!(email("al@example.com"), email("bo@example.com"));
        let names = [
            email("al@example.com"),
            Budget::of_session("al@example.com").name().to_owned(),
            Budget::of_device(b"al@example.com").name().to_owned(),
            Budget::of_network([127, 0, 0, 1].into()).name().to_owned(),
        ];
        assert!(names.iter().all(|name| name.len() == 32));
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }
}
