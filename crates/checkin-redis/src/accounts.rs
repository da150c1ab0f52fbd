//! Writing accounts, so that no two have the same id or the same address.
//!
//! An account and the index of addresses lie in different slots, so no script can write both. First the time is read
//! where the user will be written. Then the address is claimed. A marker with a time to live says that its user will be
//! written. Then the user is written, unless so much time has passed that the marker may be gone, and the claim is
//! settled. If a writer dies in between, or its command is carried out too late, it leaves a claim without a user, and
//! the next writer of this address takes the claim over: no user can be written for it any more. If a fail-over lost
//! the claim, the writer may find at the end that the address belongs to another user, and deletes its own user again.

use checkin_domain::{Email, MAX_SAFE_INTEGER, User, UserId};
use checkin_storage::{Admitted, Credentials, NewEpoch, NewUser, Result, Search, StorageError};
use redis_link::{Reply, Script};

use crate::connection::Connection;
use crate::reply::{array, indexed_id, number, text};

/// How long an address stays claimed by a writer that does not settle the claim. This is far longer
/// than the commands in between take, and short enough for a person to try again.
const CLAIM_MS: &str = "10000";

/// How long after it began a writer may write its user. This is shorter than the claim, which begins later, because the
/// two times may be those of different servers.
const OPEN_MS: i64 = 9_000;

/// How often a change is made again that was not made because a search for its account had begun. Between two searches
/// the process that searches rests for a second.
const ATTEMPTS: usize = 5;

/// The result of writing an account.
pub(crate) enum Opened {
    Stored,
    /// A user with this id exists and was not changed.
    IdTaken,
    /// The same, but found only after the address was claimed.
    IdTakenAfterClaim,
    /// Another user, with this id, has the address.
    EmailTaken(UserId),
}

/// The accounts as hashes, with the index of addresses.
pub(crate) struct Accounts<'a>(pub(crate) &'a Connection);

impl Accounts<'_> {
    /// Writes an account with the id that it has.
    pub(crate) async fn open(&self, user: &User) -> Result<Opened> {
        let key = self.0.keys.user(user.id);
        let begin = match self.0.run(&self.0.scripts.time_if_absent, &[&key], &[]).await? {
            Reply::Nil => return Ok(Opened::IdTaken),
            time => number(time)?,
        };
        if let Some(owner) = self.claim_email(user).await? {
            return Ok(Opened::EmailTaken(owner));
        }
        // Added before the user is written, so that no user is missing from the list.
        let id = user.id.to_string();
        self.0.call(&["ZADD", &self.0.keys.user_ids(), &id, &id]).await?;
        if !self.create(user, begin + OPEN_MS).await? {
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

    /// Creates the hash of an account until this time of its server. Returns false and changes nothing if it exists.
    ///
    /// The first epoch is read after the address was claimed. An account that had the address before raised
    /// it before it freed the address.
    async fn create(&self, user: &User, until_ms: i64) -> Result<bool> {
        let first_epoch = match self.0.call(&["GET", &self.0.keys.first_epoch()]).await? {
            Reply::Nil => "0".to_owned(),
            epoch => text(epoch)?,
        };
        let (fields, until) = (fields(user), until_ms.to_string());
        let words = fields.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let words: Vec<&str> = [until.as_str(), &first_epoch].into_iter().chain(words).collect();
        let keys = self.0.keys.of_account(user.id);
        let keys = keys.each_ref().map(String::as_str);
        match self.0.run(&self.0.scripts.open_account, &keys, &words).await? {
            Reply::Nil => Err(StorageError::new("opening the account took too long")),
            made => number(made).map(|made| made == 1),
        }
    }

    /// Erases the personal data of a deleted account. Returns false if it is not deleted.
    pub(crate) async fn erase(&self, account: &Credentials) -> Result<bool> {
        let (id, first_epoch) = (account.id, self.0.keys.first_epoch());
        let epoch = account.standing.epoch.to_string();
        self.0.run_replicated(&self.0.scripts.raise_last_id, &[&first_epoch], &[&epoch]).await?;
        self.release_email(id, &account.email).await?;
        self.0.replicate(&[&self.0.keys.emails()]).await?;
        // Last, because without the address a second attempt could not free it.
        let NewUser { first_name, last_name, email, password } = NewUser::erased(id);
        let words =
            ["firstName", &first_name, "lastName", &last_name, "email", email.as_str(), "password"];
        let words: Vec<&str> = words.into_iter().chain([password.as_str()]).collect();
        let [user, epoch, kept, status, role] = self.0.keys.of_account(id);
        let keys = &self.0.keys;
        let (factor, comments) = (keys.second_factor(id), keys.comments(id));
        let (audience, new, searched) =
            (keys.audience(id), keys.new_account(id), keys.searched(id));
        let standing = [user, epoch, kept, status, role];
        let (own, private) = ([factor, comments, audience, new, searched], keys.all_private(id));
        let keys = standing.iter().chain(&own).chain(&private);
        let keys: Vec<&str> = keys.map(String::as_str).collect();
        let erased = self.0.run_replicated(&self.0.scripts.erase_account, &keys, &words).await?;
        number(erased).map(|erased| erased == 1)
    }

    /// Releases the claim of this user on an address.
    pub(crate) async fn release_email(&self, user: UserId, email: &Email) -> Result<()> {
        let (script, emails) = (&self.0.scripts.release_email, self.0.keys.emails());
        for key in email.index_keys() {
            let claim = self.0.keys.email_claim(&key);
            self.0.run(script, &[&emails, &claim], &[&key, &user.to_string()]).await?;
        }
        Ok(())
    }

    /// Returns the users who have the address according to the index, the likeliest first.
    pub(crate) async fn owners_of(&self, email: &Email) -> Result<Vec<UserId>> {
        let (emails, index_keys) = (self.0.keys.emails(), email.index_keys());
        let words = ["HMGET", &emails].into_iter().chain(index_keys.iter().map(String::as_str));
        let found = array(self.0.call(&words.collect::<Vec<_>>()).await?)?;
        let known = found.into_iter().filter(|owner| *owner != Reply::Nil);
        known.map(|owner| indexed_id(&text(owner)?)).collect()
    }

    /// Adds an account to the list of searches, and then runs a script that returns the new epoch, unless it changed
    /// nothing. `by` asks for it.
    ///
    /// The list and the account lie in different slots. So the script gets the number of the search, and changes nothing
    /// if a search of this number, which may have read the account as it was, or of a higher one has begun.
    pub(crate) async fn change_standing(
        &self,
        script: &Script,
        (id, by): (UserId, Option<&Admitted>),
        words: &[&str],
    ) -> Result<Option<NewEpoch>> {
        let keys = &self.0.keys;
        let (account, own) = (keys.of_account(id), [keys.second_factor(id), keys.searched(id)]);
        let keys: Vec<&str> = account.iter().chain(&own).map(String::as_str).collect();
        let epoch = by.map(|by| by.epoch.to_string()).unwrap_or_default();
        let handle = by.and_then(|by| by.handle.as_deref()).unwrap_or_default();
        let mut begun = "0".to_owned();
        for _ in 0..ATTEMPTS {
            let search = self.add_search(id, &begun).await?;
            let listed = search.number.to_string();
            let words: Vec<&str> = [&[&*epoch, handle, &listed], words].concat();
            match self.0.run_replicated(script, &keys, &words).await? {
                Reply::Nil => return Ok(None),
                Reply::Int(epoch) => {
                    return Ok(Some(NewEpoch { epoch: epoch.unsigned_abs(), search }));
                }
                number => begun = text(number)?,
            }
        }
        Err(StorageError::new("searches for the account begin too often"))
    }

    /// Adds an account to the list of searches, with a number above `begun`.
    async fn add_search(&self, user: UserId, begun: &str) -> Result<Search> {
        let keys = [self.0.keys.searches(), self.0.keys.last_search()];
        let (keys, id) = (keys.each_ref().map(String::as_str), user.to_string());
        let added = self.0.run_replicated(&self.0.scripts.add_search, &keys, &[&id, begun]).await?;
        Ok(Search { number: number(added)?.unsigned_abs(), user })
    }

    /// Returns the id after the last one, or the highest free one if another program has used up the ids.
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

    /// Claims the address for this user. Returns the other user if another one has it.
    async fn claim_email(&self, user: &User) -> Result<Option<UserId>> {
        if let Some(owner) = self.owner_of_older_key(user).await? {
            return Ok(Some(owner));
        }
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

    /// Returns the other user who has the address under another key than the canonical one. No such key is added any more.
    async fn owner_of_older_key(&self, user: &User) -> Result<Option<UserId>> {
        if user.email.as_str().is_ascii() {
            return Ok(None);
        }
        for owner in self.owners_of(&user.email).await? {
            if owner != user.id && self.has_email(owner, &user.email).await? {
                return Ok(Some(owner));
            }
        }
        Ok(None)
    }

    async fn try_claim(&self, user: &User, stale: &str) -> Result<Claim> {
        let (emails, claim, canonical, id) = self.claim_words(user.id, &user.email);
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

    /// Settles the claim of this user. Returns the other user if another one has the address by now.
    async fn settle_email(&self, user: &User) -> Result<Option<UserId>> {
        let (emails, claim, canonical, id) = self.claim_words(user.id, &user.email);
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
        Ok(Email::stored(&found).is_ok_and(|found| found.is_of_same_account(email)))
    }

    /// Returns the two keys of the scripts about addresses, and their first two arguments.
    fn claim_words(&self, user: UserId, email: &Email) -> (String, String, String, String) {
        let canonical = email.canonical();
        let claim = self.0.keys.email_claim(&canonical);
        (self.0.keys.emails(), claim, canonical, user.to_string())
    }
}

fn user_id(id: u64) -> Result<UserId> {
    UserId::try_from(id).map_err(StorageError::new)
}

enum Claim {
    Made,
    /// This user has or had the address.
    Settled(UserId),
    /// The user with the address will be written.
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
