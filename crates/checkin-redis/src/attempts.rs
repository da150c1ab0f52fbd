//! The attempts to give a password, in Redis.

use std::time::Duration;

use async_trait::async_trait;

use checkin_storage::{
    Attempt, Attempts, Budget, FIRST_WAIT, Forgotten, LONGEST_WAIT, Result, Taken,
};

use crate::RedisStorage;
use crate::reply::{array, number, unexpected};

#[async_trait]
impl Attempts for RedisStorage {
    async fn take_attempt(&self, budget: &Budget) -> Result<Attempt> {
        let key = self.redis.keys.attempts(budget.name());
        let allowance = budget.allowance();
        let (forgotten, for_each) = match allowance.forgotten {
            Forgotten::AfterFirst(time) => (time, ""),
            Forgotten::ForEach(time) => (time, "1"),
        };
        let most = allowance.most.map(|most| most.to_string()).unwrap_or_default();
        let [first, longest, forgotten] = [FIRST_WAIT, LONGEST_WAIT, forgotten].map(ms);
        let free = allowance.free.to_string();
        let words: [&str; 6] = [&free, &most, &first, &longest, &forgotten, for_each];
        let reply = self.redis.run(&self.redis.scripts.take_attempt, &[&key], &words).await?;
        let numbers = array(reply)?.into_iter().map(|part| number(part).map(i64::unsigned_abs));
        match numbers.collect::<Result<Vec<u64>>>()?[..] {
            [] => Ok(Attempt::UsedUp),
            [wait_ms] => Ok(Attempt::Wait(Duration::from_millis(wait_ms))),
            [count, until_ms] => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                Ok(Attempt::Taken(Taken { count, until_ms }))
            }
            _ => Err(unexpected("an attempt")),
        }
    }

    async fn give_back_attempt(&self, budget: &Budget, taken: Taken) -> Result<()> {
        let key = self.redis.keys.attempts(budget.name());
        let words = [budget.allowance().free.to_string(), taken.until_ms.to_string()];
        let words = words.each_ref().map(String::as_str);
        self.redis.run(&self.redis.scripts.give_back_attempt, &[&key], &words).await?;
        Ok(())
    }

    async fn forget_attempts(&self, budget: &Budget) -> Result<()> {
        self.redis.call(&["DEL", &self.redis.keys.attempts(budget.name())]).await?;
        Ok(())
    }
}

fn ms(time: Duration) -> String {
    time.as_millis().to_string()
}
