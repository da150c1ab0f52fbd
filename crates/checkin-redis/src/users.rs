//! Accounts in Redis.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use checkin_domain::number::decimal;
use checkin_domain::{Email, LocationId, Name, PasswordHash, User, UserId};
use checkin_storage::{
    AccountChange, Admitted, Credentials, NewEpoch, NewUser, Registered, Result, Role, Standing,
    Status, Users, readable,
};
use redis_link::Reply;

use crate::RedisStorage;
use crate::accounts::{Accounts, Opened};
use crate::connection::{Connection, ID_PAGE, at_once, read_hash};
use crate::hash::{Fields, Hash};
use crate::reply::{array, number, text, unexpected};

/// The fields of a user's hash that a login needs.
const LOGIN: Fields = &["id", "email", "password"];

/// All fields of a user's hash.
pub(crate) const FIELDS: Fields = &[
    "id",
    "firstName",
    "lastName",
    "email",
    "password",
    "numCheckins",
    "lastCheckin",
    "lastSeenAt",
];

#[async_trait]
impl Users for RedisStorage {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        read(&self.redis, id).await
    }

    async fn name(&self, id: UserId) -> Result<Option<Name>> {
        let name = |hash: &Hash<'_>| {
            hash.id(id)?;
            Ok(Name { first: hash.text("firstName"), last: hash.text("lastName") })
        };
        self.redis.hash(self.redis.keys.user(id), &["id", "firstName", "lastName"], name).await
    }

    async fn names(&self, ids: &[UserId]) -> Result<HashMap<UserId, Name>> {
        let ids: HashSet<UserId> = ids.iter().copied().collect();
        let name = |id| async move { Ok(readable(self.name(id).await)?.map(|name| (id, name))) };
        let found = at_once(ids.into_iter().map(name).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn user_with_standing(&self, id: UserId) -> Result<Option<(User, Standing)>> {
        let [key, epoch, kept, status, role] = self.redis.keys.of_account(id);
        let read = async {
            let [epoch, kept, status, role] = [&epoch, &kept, &status, &role].map(String::as_bytes);
            let standing: &[&[u8]] = &[b"MGET", epoch, kept, status, role];
            let commands: [&[&[u8]]; 2] = [&read_hash(&key, FIELDS), standing];
            let (hash, standing) = with_standing(self.redis.pipeline(&commands).await?)?;
            let user = |hash: Hash<'_>| Ok((user(id, &hash)?, standing));
            Hash::read(&key, FIELDS, hash)?.map(user).transpose()
        };
        self.redis.reports.logged(&key, read.await)
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<User>> {
        // The index is a hint: its user may not be written yet, or may have another address by now.
        for owner in Accounts(&self.redis).owners_of(email).await? {
            let user = read(&self.redis, owner).await?;
            if user.as_ref().is_some_and(|user| user.email.is_of_same_account(email)) {
                return Ok(user);
            }
        }
        Ok(None)
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        let keys = self.redis.keys.of_account(id);
        let read = async {
            let (script, keys) = (&self.redis.scripts.account, keys.each_ref().map(String::as_str));
            let found = array(self.redis.run(script, &keys, LOGIN).await?)?;
            let (hash, standing) = with_standing(found)?;
            let account = |hash: Hash<'_>| account(id, &hash, standing);
            Hash::read(keys[0], LOGIN, hash)?.map(account).transpose()
        };
        self.redis.reports.logged(&keys[0], read.await)
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>> {
        for owner in Accounts(&self.redis).owners_of(email).await? {
            let account = self.credentials(owner).await?;
            if account.as_ref().is_some_and(|it| it.email.is_of_same_account(email)) {
                return Ok(account);
            }
        }
        Ok(None)
    }

    async fn standing(&self, id: UserId) -> Result<Standing> {
        let [epoch, kept, status, role] = self.redis.keys.standing(id);
        read_standing(self.redis.call(&["MGET", &epoch, &kept, &status, &role]).await?)
    }

    async fn raise_epoch(&self, id: UserId, by: Option<&Admitted>) -> Result<Option<NewEpoch>> {
        let script = &self.redis.scripts.raise_epoch;
        Accounts(&self.redis).change_standing(script, (id, by), &[]).await
    }

    async fn register(&self, new: NewUser) -> Result<Registered> {
        if self.user_by_email(&new.email).await?.is_some() {
            return Ok(Registered::EmailTaken);
        }
        let mut user = User {
            id: Accounts(&self.redis).next_id().await?,
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            password: new.password,
            num_checkins: 0,
            last_checkin: None,
            last_seen_at: None,
        };
        loop {
            match Accounts(&self.redis).open(&user).await? {
                Opened::Stored => {
                    let keys = [self.redis.keys.user(user.id), self.redis.keys.emails()];
                    self.redis.replicate(&keys.each_ref().map(String::as_str)).await?;
                    return Ok(Registered::Opened(user));
                }
                Opened::EmailTaken(_) => return Ok(Registered::EmailTaken),
                Opened::IdTaken => {}
                Opened::IdTakenAfterClaim => {
                    Accounts(&self.redis).release_email(user.id, &user.email).await?;
                }
            }
            // Another program, or an import, created a hash with this id without the counter.
            user.id = Accounts(&self.redis).next_id().await?;
        }
    }

    async fn change_password(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        new: &PasswordHash,
    ) -> Result<Option<NewEpoch>> {
        let script = &self.redis.scripts.change_password;
        Accounts(&self.redis).change_standing(script, (id, by), &[new.as_str()]).await
    }

    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        let (user, words) = (self.redis.keys.user(id), [new.as_str(), expected.as_str()]);
        let status = self.redis.keys.standing(id)[2].clone();
        let script = &self.redis.scripts.renew_password;
        let renewed = self.redis.run_replicated(script, &[&user, &status], &words).await?;
        number(renewed).map(|renewed| renewed == 1)
    }

    async fn change_account(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        change: AccountChange,
    ) -> Result<Option<NewEpoch>> {
        // The number of the key, the new value, and the value of an account that has none.
        let words = match change {
            AccountChange::Status(status) => ["4", status.as_str(), Status::default().as_str()],
            AccountChange::Role(role) => ["5", role.as_str(), Role::default().as_str()],
        };
        let script = &self.redis.scripts.change_account;
        Accounts(&self.redis).change_standing(script, (id, by), &words).await
    }

    async fn erase(&self, id: UserId) -> Result<bool> {
        let Some(account) = self.credentials(id).await? else { return Ok(false) };
        if account.standing.status != Status::Deleted {
            return Ok(false);
        }
        Accounts(&self.redis).erase(&account).await
    }

    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
        let (mut after, mut users) = (after.map_or(0, UserId::get), Vec::new());
        while users.len() < limit {
            let page = ID_PAGE.min(limit - users.len());
            let ids: Vec<UserId> =
                self.redis.ids_after(&self.redis.keys.user_ids(), after, page).await?;
            let Some(last) = ids.last() else {
                break;
            };
            after = last.get();
            let one = |id| async move { readable(read(&self.redis, id).await) };
            let page = at_once(ids.into_iter().map(one).collect()).await?;
            // An id may be in the list before its user is written.
            users.extend(page.into_iter().flatten());
        }
        Ok(users)
    }
}

/// Reads the reply that holds a user's hash and the standing of the account.
fn with_standing(found: Vec<Reply>) -> Result<(Reply, Standing)> {
    let [hash, standing] = <[Reply; 2]>::try_from(found).map_err(|_| unexpected("an account"))?;
    Ok((hash, read_standing(standing)?))
}

/// Reads the values of the keys of an account's standing.
fn read_standing(found: Reply) -> Result<Standing> {
    let found = <[Reply; 4]>::try_from(array(found)?);
    let [epoch, kept, status, role] =
        found.map_err(|_| unexpected("the standing of an account"))?;
    let given = |reply: Reply| (reply != Reply::Nil).then(|| text(reply)).transpose();
    Ok(Standing {
        epoch: read_epoch(epoch)?,
        kept: given(kept)?,
        status: Status::stored(given(status)?.as_deref()),
        role: Role::stored(given(role)?.as_deref()),
    })
}

/// Reads an epoch. An account whose sessions were never ended has none in Redis.
fn read_epoch(epoch: Reply) -> Result<u64> {
    match epoch {
        Reply::Nil => Ok(0),
        epoch => decimal(&text(epoch)?).ok_or_else(|| unexpected("an epoch")),
    }
}

/// Reads the part of a user's hash that a login needs.
fn account(id: UserId, hash: &Hash<'_>, standing: Standing) -> Result<Credentials> {
    Ok(Credentials {
        id: hash.id(id)?,
        email: hash.required("email", Email::stored)?,
        password: PasswordHash::stored(hash.text("password")),
        standing,
    })
}

/// Reads the account of this id.
pub(crate) async fn read(redis: &Connection, id: UserId) -> Result<Option<User>> {
    redis.hash(redis.keys.user(id), FIELDS, |hash| user(id, hash)).await
}

/// Reads the account from its hash.
pub(crate) fn user(id: UserId, hash: &Hash<'_>) -> Result<User> {
    let place = hash.number("lastSeenAt");
    Ok(User {
        id: hash.id(id)?,
        first_name: hash.text("firstName"),
        last_name: hash.text("lastName"),
        email: hash.required("email", Email::stored)?,
        password: PasswordHash::stored(hash.text("password")),
        num_checkins: hash.number("numCheckins").unwrap_or(0),
        last_checkin: hash.number("lastCheckin").filter(|&ms| ms > 0),
        // Other programs write 0 if there is no location.
        last_seen_at: place.and_then(|place| LocationId::try_from(place).ok()),
    })
}
