//! How an account is written, so that no two have one id or one address.
//!
//! An account and the index of addresses lie in different slots, so no script can write both. An
//! address is claimed first; a marker, which ends by itself, says that its user is about to be
//! written. Then the user is written, and the claim is settled. A writer that dies in between
//! leaves a claim without a user, which the next one to want the address takes over; one that was
//! asleep for longer than its marker lived finds at the end that the address has become another's,
//! and takes its user back.

use checkin_domain::{Email, MAX_SAFE_INTEGER, PasswordHash, User, UserId};
use checkin_storage::{Result, StorageError};
use redis_link::Reply;

use crate::connection::Connection;
use crate::reply::{array, indexed_id, number, text};

/// How long an address is kept for a writer that says no more. Far longer than the commands in
/// between take, short enough for a person to try again.
const CLAIM_MS: &str = "10000";

/// What became of an account that was to be written.
pub(crate) enum Opened {
    Stored,
    /// There is a user of this id, as it was.
    IdTaken,
    /// The same, found out only after the address was claimed.
    IdTakenAfterClaim,
    /// This other user has the address.
    EmailTaken(UserId),
}

/// The accounts as hashes, with the index of addresses.
pub(crate) struct Accounts<'a>(pub(crate) &'a Connection);

impl Accounts<'_> {
    /// Writes an account under the id that it has.
    pub(crate) async fn open(&self, user: &User) -> Result<Opened> {
        let key = self.0.keys.user(user.id);
        if self.0.exists(&key).await? {
            return Ok(Opened::IdTaken);
        }
        if let Some(owner) = self.claim_email(user).await? {
            return Ok(Opened::EmailTaken(owner));
        }
        // Before the user, so that no user is missing from the list.
        let id = user.id.to_string();
        self.0.call(&["ZADD", &self.0.keys.user_ids(), &id, &id]).await?;
        if !self.0.create_hash(&key, &fields(user)).await? {
            return Ok(Opened::IdTakenAfterClaim);
        }
        match self.settle_email(user).await? {
            None => Ok(Opened::Stored),
            Some(owner) => {
                self.0.call(&["DEL", &key]).await?;
                self.0.call(&["ZREM", &self.0.keys.user_ids(), &id]).await?;
                Ok(Opened::EmailTaken(owner))
            }
        }
    }

    /// Gives up the claim on an account's address.
    pub(crate) async fn release_email(&self, user: &User) -> Result<()> {
        let (emails, claim, canonical, id) = self.claim_words(user);
        let script = &self.0.scripts.release_email;
        self.0.run(script, &[&emails, &claim], &[&canonical, &id]).await?;
        Ok(())
    }

    /// Whose address it is, according to the index.
    pub(crate) async fn owner_of(&self, email: &Email) -> Result<Option<UserId>> {
        match self.0.call(&["HGET", &self.0.keys.emails(), &email.canonical()]).await? {
            Reply::Nil => Ok(None),
            owner => indexed_id(&text(owner)?).map(Some),
        }
    }

    /// Returns the epoch, raised by `raise`; nothing if the password was not replaced.
    pub(crate) async fn replace_password(
        &self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
        raise: &str,
    ) -> Result<Option<u64>> {
        let (key, epoch) = (self.0.keys.user(id), self.0.keys.user_epoch(id));
        let mut words = vec![new.as_str(), raise];
        words.extend(expected.map(PasswordHash::as_str));
        match self.0.run(&self.0.scripts.change_password, &[&key, &epoch], &words).await? {
            Reply::Nil => Ok(None),
            epoch => number(epoch).map(|epoch| Some(epoch.unsigned_abs())),
        }
    }

    /// The id behind the last one; if another program has used up the ids, the highest free one.
    pub(crate) async fn next_id(&self) -> Result<UserId> {
        let id = number(self.0.call(&["INCR", &self.0.keys.last_user_id()]).await?)?;
        let mut id = id.unsigned_abs();
        if id > MAX_SAFE_INTEGER {
            id = MAX_SAFE_INTEGER;
            while self.0.exists(&self.0.keys.user(user_id(id)?)).await? {
                id -= 1;
            }
        }
        user_id(id)
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
        match self.0.run(&self.0.scripts.claim_email, &[&emails, &claim], &words).await? {
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
        let script = &self.0.scripts.settle_email;
        match self.0.run(script, &[&emails, &claim], &[&canonical, &id]).await? {
            Reply::Int(1) => Ok(None),
            other => owner(other).map(Some),
        }
    }

    async fn has_email(&self, id: UserId, email: &Email) -> Result<bool> {
        let found = match self.0.call(&["HGET", &self.0.keys.user(id), "email"]).await? {
            Reply::Nil => return Ok(false),
            found => text(found)?,
        };
        Ok(Email::known(&found).is_ok_and(|found| found.canonical() == email.canonical()))
    }

    /// The two keys of the scripts about addresses, and their first two arguments.
    fn claim_words(&self, user: &User) -> (String, String, String, String) {
        let canonical = user.email.canonical();
        let claim = self.0.keys.email_claim(&canonical);
        (self.0.keys.emails(), claim, canonical, user.id.to_string())
    }
}

fn user_id(id: u64) -> Result<UserId> {
    UserId::try_from(id).map_err(StorageError::new)
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
