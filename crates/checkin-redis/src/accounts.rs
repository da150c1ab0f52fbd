//! How an account is written, so that no two have one id or one address.
//!
//! An account and the index of addresses lie in different slots, so no script can write both. An
//! address is claimed first; a marker, which ends by itself, says that its user is about to be
//! written. Then the user is written, and the claim is settled. A writer that dies in between
//! leaves a claim without a user, which the next one to want the address takes over; one that was
//! asleep for longer than its marker lived finds at the end that the address has become another's,
//! and takes its user back.

use super::{RedisStorage, Reply, array, number, text};
use checkin_domain::{Email, User, UserId};
use checkin_storage::{Result, StorageError};

/// How long an address is kept for a writer that says no more. Far longer than the commands in
/// between take, short enough for a person to try again.
const CLAIM_MS: &str = "10000";

/// What became of an account that was to be written.
pub(super) enum Opened {
    Stored,
    /// There is a user of this id, as it was.
    IdTaken,
    /// The same, found out only after the address was claimed.
    IdTakenAfterClaim,
    /// This other user has the address.
    EmailTaken(UserId),
}

impl RedisStorage {
    /// Writes an account under the id that it has.
    pub(super) async fn open_account(&self, user: &User) -> Result<Opened> {
        let key = self.keys.user(user.id);
        if self.exists(&key).await? {
            return Ok(Opened::IdTaken);
        }
        if let Some(owner) = self.claim_email(user).await? {
            return Ok(Opened::EmailTaken(owner));
        }
        // Before the user, so that no user is missing from the list.
        let id = user.id.to_string();
        self.call(&["ZADD", &self.keys.user_ids(), &id, &id]).await?;
        if !self.create_hash(&key, &fields(user)).await? {
            return Ok(Opened::IdTakenAfterClaim);
        }
        match self.settle_email(user).await? {
            None => Ok(Opened::Stored),
            Some(owner) => {
                self.call(&["DEL", &key]).await?;
                self.call(&["ZREM", &self.keys.user_ids(), &id]).await?;
                Ok(Opened::EmailTaken(owner))
            }
        }
    }

    /// False, and nothing is changed, if there is a hash.
    pub(super) async fn create_hash(&self, key: &str, fields: &[(&str, String)]) -> Result<bool> {
        let words = fields.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let words: Vec<&str> = words.collect();
        number(self.run(&self.scripts.create_hash, &[key], &words).await?).map(|made| made == 1)
    }

    /// Gives up the claim on an account's address.
    pub(super) async fn release_email(&self, user: &User) -> Result<()> {
        let (emails, claim, canonical, id) = self.claim_words(user);
        let script = &self.scripts.release_email;
        self.run(script, &[&emails, &claim], &[&canonical, &id]).await?;
        Ok(())
    }

    /// Nothing if the address is this user's now, else whose it is.
    async fn claim_email(&self, user: &User) -> Result<Option<UserId>> {
        let owner = match self.try_claim(user, "").await? {
            Claim::Made => return Ok(None),
            Claim::Unsettled(owner) => return Ok(Some(owner)),
            Claim::Settled(owner) => owner,
        };
        if self.has_email(owner, &user.email).await? {
            return Ok(Some(owner));
        }
        match self.try_claim(user, &owner.to_string()).await? {
            Claim::Made => Ok(None),
            Claim::Unsettled(owner) | Claim::Settled(owner) => Ok(Some(owner)),
        }
    }

    async fn try_claim(&self, user: &User, stale: &str) -> Result<Claim> {
        let (emails, claim, canonical, id) = self.claim_words(user);
        let words = [canonical.as_str(), &id, stale, CLAIM_MS];
        match self.run(&self.scripts.claim_email, &[&emails, &claim], &words).await? {
            Reply::Int(1) => Ok(Claim::Made),
            refused => {
                let mut refused = array(refused)?.into_iter();
                let owner = owner(refused.next().unwrap_or(Reply::Nil))?;
                let settled = number(refused.next().unwrap_or(Reply::Nil))? == 1;
                Ok(if settled { Claim::Settled(owner) } else { Claim::Unsettled(owner) })
            }
        }
    }

    /// Nothing if the address is still this user's, else whose it became.
    async fn settle_email(&self, user: &User) -> Result<Option<UserId>> {
        let (emails, claim, canonical, id) = self.claim_words(user);
        let script = &self.scripts.settle_email;
        match self.run(script, &[&emails, &claim], &[&canonical, &id]).await? {
            Reply::Int(1) => Ok(None),
            other => owner(other).map(Some),
        }
    }

    async fn has_email(&self, id: UserId, email: &Email) -> Result<bool> {
        let found = match self.call(&["HGET", &self.keys.user(id), "email"]).await? {
            Reply::Nil => return Ok(false),
            found => text(found)?,
        };
        Ok(Email::known(&found).is_ok_and(|found| found.canonical() == email.canonical()))
    }

    /// The two keys of the scripts about addresses, and their first two arguments.
    fn claim_words(&self, user: &User) -> (String, String, String, String) {
        let canonical = user.email.canonical();
        let claim = self.keys.email_claim(&canonical);
        (self.keys.emails(), claim, canonical, user.id.to_string())
    }
}

enum Claim {
    Made,
    /// This user has the address, or had it.
    Settled(UserId),
    /// This user is about to be written.
    Unsettled(UserId),
}

fn owner(reply: Reply) -> Result<UserId> {
    let id = text(reply)?;
    id.parse().map_err(|rule| StorageError::new(format!("the id in the index of addresses {rule}")))
}

fn fields(user: &User) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("id", user.id.to_string()),
        ("firstName", user.first_name.clone()),
        ("lastName", user.last_name.clone()),
        ("email", user.email.to_string()),
        ("password", user.password.as_str().to_owned()),
        ("numCheckins", user.num_checkins.to_string()),
    ];
    fields.extend(user.last_checkin.map(|ms| ("lastCheckin", ms.to_string())));
    fields.extend(user.last_seen_at.map(|place| ("lastSeenAt", place.to_string())));
    fields
}
