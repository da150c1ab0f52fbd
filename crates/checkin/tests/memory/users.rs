//! Accounts.

use std::collections::HashMap;
use std::ops::Bound::{Excluded, Unbounded};

use async_trait::async_trait;
use checkin_domain::{Email, Name, PasswordHash, User, UserId};
use checkin_storage::{
    AccountChange, Admitted, Credentials, NewEpoch, NewUser, Registered, Result, Role, Standing,
    Status, StorageError, UsedUp, Users,
};

use crate::store::{Contents, MemoryStorage, StoredUser};

#[async_trait]
impl Users for MemoryStorage {
    async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.contents().users.get(&id).map(|stored| stored.user.clone()))
    }

    async fn user_with_standing(&self, id: UserId) -> Result<Option<(User, Standing)>> {
        let both = |stored: &StoredUser| (stored.user.clone(), stored.standing.clone());
        Ok(self.contents().users.get(&id).map(both))
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<User>> {
        Ok(self.contents().user_of(email).map(|stored| stored.user.clone()))
    }

    async fn register(&self, new: NewUser) -> Result<Registered> {
        let mut contents = self.contents();
        if contents.user_of(&new.email).is_some() {
            return Ok(Registered::EmailTaken);
        }
        let NewUser { first_name, last_name, email, password } = new;
        let (id, num_checkins) = (contents.free_id()?, 0);
        let (last_checkin, last_seen_at) = (None, None);
        let user = User {
            id,
            first_name,
            last_name,
            email,
            password,
            num_checkins,
            last_checkin,
            last_seen_at,
        };
        contents.insert_user(&user);
        Ok(Registered::Opened(user))
    }

    async fn name(&self, id: UserId) -> Result<Option<Name>> {
        let user = self.user(id).await?;
        Ok(user.map(|user| Name { first: user.first_name, last: user.last_name }))
    }

    async fn names(&self, ids: &[UserId]) -> Result<HashMap<UserId, Name>> {
        let mut names = HashMap::new();
        for &id in ids {
            names.extend(self.name(id).await?.map(|name| (id, name)));
        }
        Ok(names)
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>> {
        Ok(self.contents().users.get(&id).map(StoredUser::credentials))
    }

    async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>> {
        Ok(self.contents().user_of(email).map(StoredUser::credentials))
    }

    async fn standing(&self, id: UserId) -> Result<Standing> {
        let standing = |stored: &StoredUser| stored.standing.clone();
        Ok(self.contents().users.get(&id).map(standing).unwrap_or_default())
    }

    async fn raise_epoch(&self, id: UserId, by: Option<&Admitted>) -> Result<Option<NewEpoch>> {
        let mut contents = self.contents();
        if contents.admitting(id, by).is_none() {
            return Ok(None);
        }
        Ok(contents.raise(id, by.and_then(|by| by.handle.clone())))
    }

    async fn change_password(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        new: &PasswordHash,
    ) -> Result<Option<NewEpoch>> {
        let mut contents = self.contents();
        let Some(StoredUser { user, standing, .. }) = contents.admitting(id, by) else {
            return Ok(None);
        };
        if standing.status == Status::Deleted {
            return Ok(None);
        }
        user.password = new.clone();
        Ok(contents.raise(id, None))
    }

    async fn renew_password(
        &self,
        id: UserId,
        expected: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool> {
        let mut contents = self.contents();
        let stored = contents
            .users
            .get_mut(&id)
            .filter(|stored| stored.standing.is_active() && stored.user.password == *expected);
        Ok(stored.map(|stored| stored.user.password = new.clone()).is_some())
    }

    async fn change_account(
        &self,
        id: UserId,
        by: Option<&Admitted>,
        change: AccountChange,
    ) -> Result<Option<NewEpoch>> {
        let mut contents = self.contents();
        let Some(StoredUser { standing, .. }) = contents.admitting(id, by) else {
            return Ok(None);
        };
        let is_same = match change {
            AccountChange::Status(status) => standing.status == status,
            AccountChange::Role(role) => standing.role == role,
        };
        if is_same || standing.status == Status::Deleted {
            return Ok(None);
        }
        match change {
            AccountChange::Status(status) => standing.status = status,
            AccountChange::Role(role) => standing.role = role,
        }
        Ok(contents.raise(id, None))
    }

    async fn erase(&self, id: UserId) -> Result<bool> {
        let mut contents = self.contents();
        let stored = contents.users.get_mut(&id);
        let Some(stored) = stored.filter(|stored| stored.standing.status == Status::Deleted) else {
            return Ok(false);
        };
        let NewUser { first_name, last_name, email, password } = NewUser::erased(id);
        for user in [&mut stored.user, &mut stored.first] {
            user.first_name.clone_from(&first_name);
            user.last_name.clone_from(&last_name);
            user.email.clone_from(&email);
            user.password.clone_from(&password);
        }
        (stored.standing.kept, stored.standing.role) = (None, Role::User);
        stored.second_factor = None;
        stored.is_erased = true;
        contents.erase_comments(id);
        Ok(true)
    }

    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
        let contents = self.contents();
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let users = contents.users.range(behind).take(limit);
        Ok(users.map(|(_, stored)| stored.user.clone()).collect())
    }
}

impl StoredUser {
    fn credentials(&self) -> Credentials {
        let User { id, email, password, .. } = self.user.clone();
        Credentials { id, email, password, standing: self.standing.clone() }
    }
}

impl Contents {
    /// Raises the epoch of an account, and adds the account to the list of searches.
    pub(crate) fn raise(&mut self, id: UserId, kept: Option<String>) -> Option<NewEpoch> {
        let standing = &mut self.users.get_mut(&id)?.standing;
        standing.epoch += 1;
        standing.kept = kept;
        let epoch = standing.epoch;
        Some(NewEpoch { epoch, search: self.add_search(id) })
    }

    pub(crate) fn user_of(&self, email: &Email) -> Option<&StoredUser> {
        let canonical = email.canonical();
        let mut users = self.users.values().filter(|stored| !stored.is_erased);
        users.find(|stored| stored.user.email.canonical() == canonical)
    }

    /// The account, unless what asks for its change is no longer valid.
    pub(crate) fn admitting(
        &mut self,
        id: UserId,
        by: Option<&Admitted>,
    ) -> Option<&mut StoredUser> {
        let stored = self.users.get_mut(&id);
        stored.filter(|stored| by.is_none_or(|by| stored.standing.still_admits(by)))
    }

    /// The id behind the highest one; if the ids are used up, the highest free one.
    fn free_id(&self) -> Result<UserId> {
        let last = self.users.last_key_value().map_or(0, |(id, _)| id.get());
        let mut ids = (1..=last + 1).rev().filter_map(|id| UserId::try_from(id).ok());
        let free = ids.find(|id| !self.users.contains_key(id));
        free.ok_or_else(|| StorageError::new(UsedUp("accounts")))
    }

    pub(crate) fn insert_user(&mut self, user: &User) {
        let deleted = self.users.values().map(|stored| &stored.standing);
        let deleted = deleted.filter(|standing| standing.status == Status::Deleted);
        let epoch = deleted.map(|standing| standing.epoch).max().unwrap_or(0);
        let standing = Standing { epoch, ..Standing::default() };
        let (first, is_erased, second_factor) = (user.clone(), false, None);
        let stored = StoredUser { user: user.clone(), first, standing, is_erased, second_factor };
        self.users.insert(user.id, stored);
    }
}
