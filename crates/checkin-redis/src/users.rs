//! Accounts in Redis.

use async_trait::async_trait;

use super::accounts::Opened;
use super::hash::Hash;
use super::{ID_PAGE, RedisStorage, Reply, array, at_once, indexed_id, number, text, unexpected};
use checkin_domain::number::decimal;
use checkin_domain::{Email, LocationId, MAX_SAFE_INTEGER, Name, PasswordHash, User, UserId};
use checkin_storage::{
    Account, NewUser, Registered, Result, StorageError, UserRepository, readable,
};

#[async_trait]
impl UserRepository for RedisStorage {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.hash(self.keys.user(id), |hash| user(id, hash)).await
    }

    async fn name(&self, id: UserId) -> Result<Option<Name>> {
        let name = |hash: &Hash| {
            hash.id(id)?;
            Ok(Name { first: hash.text("firstName"), last: hash.text("lastName") })
        };
        self.hash(self.keys.user(id), name).await
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<User>> {
        let Some(owner) = self.owner_of(email).await? else { return Ok(None) };
        // The index is a hint: its user may not be written yet, or have another address since.
        let user = self.user(owner).await?;
        Ok(user.filter(|user| user.email.canonical() == email.canonical()))
    }

    async fn account(&self, id: UserId) -> Result<Option<Account>> {
        let (key, epoch) = (self.keys.user(id), self.keys.user_epoch(id));
        let read = async {
            let found = array(self.run(&self.scripts.account, &[&key, &epoch], &[]).await?)?;
            let [hash, epoch] =
                <[Reply; 2]>::try_from(found).map_err(|_| unexpected("an account"))?;
            let epoch = decimal(&text(epoch)?).ok_or_else(|| unexpected("an epoch"))?;
            let account = |hash: Hash| account(id, &hash, epoch);
            Hash::read(key.clone(), hash)?.map(account).transpose()
        };
        self.reports.told(&key, read.await)
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        let Some(owner) = self.owner_of(email).await? else { return Ok(None) };
        let account = self.account(owner).await?;
        Ok(account.filter(|account| account.email.canonical() == email.canonical()))
    }

    async fn epoch(&self, id: UserId) -> Result<u64> {
        match self.call(&["GET", &self.keys.user_epoch(id)]).await? {
            Reply::Nil => Ok(0),
            epoch => decimal(&text(epoch)?).ok_or_else(|| unexpected("an epoch")),
        }
    }

    async fn register(&self, new: NewUser) -> Result<Registered> {
        if self.user_by_email(&new.email).await?.is_some() {
            return Ok(Registered::EmailTaken);
        }
        let mut user = User {
            id: self.next_id().await?,
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            password: new.password,
            num_checkins: 0,
            last_checkin: None,
            last_seen_at: None,
        };
        loop {
            match self.open_account(&user).await? {
                Opened::Stored => return Ok(Registered::Opened(user)),
                Opened::EmailTaken(_) => return Ok(Registered::EmailTaken),
                Opened::IdTaken => {}
                Opened::IdTakenAfterClaim => self.release_email(&user).await?,
            }
            // A hash that others made, or loaded, without our counter's knowing.
            user.id = self.next_id().await?;
        }
    }

    async fn change_password(
        &self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
    ) -> Result<Option<u64>> {
        self.replace_password(id, expected, new, "1").await
    }

    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        Ok(self.replace_password(id, Some(expected), new, "0").await?.is_some())
    }

    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
        let (mut after, mut users) = (after.map_or(0, UserId::get), Vec::new());
        while users.len() < limit {
            let page = ID_PAGE.min(limit - users.len());
            let ids: Vec<UserId> = self.ids_after(&self.keys.user_ids(), after, page).await?;
            let Some(last) = ids.last() else {
                break;
            };
            after = last.get();
            let read = |id| async move { readable(self.user(id).await) };
            let page = at_once(ids.into_iter().map(read).collect()).await?;
            // An id may stand in the list before its user is written.
            users.extend(page.into_iter().flatten());
        }
        Ok(users)
    }
}

impl RedisStorage {
    /// Whose address it is, according to the index.
    async fn owner_of(&self, email: &Email) -> Result<Option<UserId>> {
        match self.call(&["HGET", &self.keys.emails(), &email.canonical()]).await? {
            Reply::Nil => Ok(None),
            owner => indexed_id(&text(owner)?).map(Some),
        }
    }

    /// Returns the epoch, raised by `raise`; nothing if the password was not replaced.
    async fn replace_password(
        &self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
        raise: &str,
    ) -> Result<Option<u64>> {
        let (key, epoch) = (self.keys.user(id), self.keys.user_epoch(id));
        let mut words = vec![new.as_str(), raise];
        words.extend(expected.map(PasswordHash::as_str));
        match self.run(&self.scripts.change_password, &[&key, &epoch], &words).await? {
            Reply::Nil => Ok(None),
            epoch => number(epoch).map(|epoch| Some(epoch.unsigned_abs())),
        }
    }

    /// The id behind the last one; if another program has used up the ids, the highest free one.
    async fn next_id(&self) -> Result<UserId> {
        let id = number(self.call(&["INCR", &self.keys.last_user_id()]).await?)?;
        let mut id = id.unsigned_abs();
        if id > MAX_SAFE_INTEGER {
            id = MAX_SAFE_INTEGER;
            while self.exists(&self.keys.user(user_id(id)?)).await? {
                id -= 1;
            }
        }
        user_id(id)
    }
}

fn user_id(id: u64) -> Result<UserId> {
    UserId::try_from(id).map_err(StorageError::new)
}

/// What a login needs of a user's hash.
fn account(id: UserId, hash: &Hash, epoch: u64) -> Result<Account> {
    Ok(Account {
        id: hash.id(id)?,
        email: hash.required("email", Email::known)?,
        password: PasswordHash::stored(hash.text("password")),
        epoch,
    })
}

/// The account in a hash.
pub(super) fn user(id: UserId, hash: &Hash) -> Result<User> {
    let place = hash.number("lastSeenAt");
    Ok(User {
        id: hash.id(id)?,
        first_name: hash.text("firstName"),
        last_name: hash.text("lastName"),
        email: hash.required("email", Email::known)?,
        password: PasswordHash::stored(hash.text("password")),
        num_checkins: hash.number("numCheckins").unwrap_or(0),
        last_checkin: hash.number("lastCheckin").filter(|&ms| ms > 0),
        // Others write 0 for nowhere.
        last_seen_at: place.and_then(|place| LocationId::try_from(place).ok()),
    })
}
