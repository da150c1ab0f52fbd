//! Who may see where people check in, and which accounts are new, in Redis.
//!
//! Each account has keys of its own, in the slot of its hash. There is no list of those who hide: it could
//! disagree with the accounts.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;

use checkin_domain::UserId;
use checkin_storage::{Audience, Privacy, Result};
use redis_link::Reply;

use crate::RedisStorage;
use crate::connection::{LONGEST_LIFE_MS, at_once};
use crate::reply::text;

#[async_trait]
impl Privacy for RedisStorage {
    async fn audience(&self, user: UserId) -> Result<Audience> {
        match self.redis.call(&["GET", &self.redis.keys.audience(user)]).await? {
            Reply::Nil => Ok(Audience::stored(None)),
            name => Ok(Audience::stored(Some(&text(name)?))),
        }
    }

    async fn set_audience(&self, user: UserId, audience: Audience) -> Result<()> {
        let key = self.redis.keys.audience(user);
        self.redis.call(&["SET", &key, audience.as_str()]).await?;
        Ok(())
    }

    async fn hidden_among(&self, users: &[UserId]) -> Result<HashSet<UserId>> {
        let users: HashSet<UserId> = users.iter().copied().collect();
        let found = at_once(users.into_iter().map(|user| self.if_hidden(user)).collect()).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn mark_new(&self, user: UserId, life: Duration) -> Result<()> {
        let life_ms = life.as_millis().clamp(1, LONGEST_LIFE_MS).to_string();
        self.redis.call(&["SET", &self.redis.keys.new_account(user), "1", "PX", &life_ms]).await?;
        Ok(())
    }

    async fn is_new(&self, user: UserId) -> Result<bool> {
        self.redis.exists(&self.redis.keys.new_account(user)).await
    }
}

impl RedisStorage {
    async fn if_hidden(&self, user: UserId) -> Result<Option<UserId>> {
        Ok((self.audience(user).await? == Audience::Nobody).then_some(user))
    }
}
