//! Second factors and pending steps in Redis.

use std::time::Duration;

use async_trait::async_trait;
use checkin_domain::UserId;
use checkin_storage::{Admitted, NewEpoch, PendingName, PendingSteps, Result, SecondFactors};
use redis_link::Reply;

use crate::RedisStorage;
use crate::accounts::Accounts;
use crate::clock::milliseconds;
use crate::reply::{number, text};

#[async_trait]
impl SecondFactors for RedisStorage {
    async fn second_factor(&self, user: UserId) -> Result<Option<String>> {
        optional(self.redis.call(&["GET", &self.redis.keys.second_factor(user)]).await?)
    }

    async fn replace_second_factor(
        &self,
        user: UserId,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<bool> {
        let (script, keys) = (&self.redis.scripts.replace_second_factor, &self.redis.keys);
        let (account, factor) = (keys.user(user), keys.second_factor(user));
        let words = [expected, new].map(Option::unwrap_or_default);
        let replaced = self.redis.run_replicated(script, &[&account, &factor], &words).await?;
        Ok(number(replaced)? == 1)
    }

    async fn change_second_factor(
        &self,
        user: UserId,
        by: &Admitted,
        expected: Option<&str>,
        new: Option<&str>,
    ) -> Result<Option<NewEpoch>> {
        let script = &self.redis.scripts.change_second_factor;
        let words = [expected, new].map(Option::unwrap_or_default);
        Accounts(&self.redis).change_standing(script, (user, Some(by)), &words).await
    }
}

#[async_trait]
impl PendingSteps for RedisStorage {
    async fn keep_pending(&self, name: &PendingName, step: &str, life: Duration) -> Result<()> {
        let (key, life) = (self.redis.keys.pending(name), milliseconds(life).to_string());
        self.redis.call(&["PSETEX", &key, &life, step]).await.map(drop)
    }

    async fn pending(&self, name: &PendingName) -> Result<Option<String>> {
        optional(self.redis.call(&["GET", &self.redis.keys.pending(name)]).await?)
    }

    async fn take_pending(&self, name: &PendingName) -> Result<Option<String>> {
        let script = &self.redis.scripts.take_pending;
        optional(self.redis.run(script, &[&self.redis.keys.pending(name)], &[]).await?)
    }
}

fn optional(reply: Reply) -> Result<Option<String>> {
    (reply != Reply::Nil).then(|| text(reply)).transpose()
}
