//! The list of accounts whose sessions have to be searched for, in Redis.

use std::time::Duration;

use async_trait::async_trait;
use checkin_storage::{Result, Search, Searches};
use redis_link::Reply;

use crate::RedisStorage;
use crate::clock::milliseconds;
use crate::reply::{texts, unexpected};

#[async_trait]
impl Searches for RedisStorage {
    async fn due_searches(
        &self,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Option<Vec<Search>>> {
        let keys = [self.redis.keys.searches(), self.redis.keys.search_lease()];
        let words = [milliseconds(lease).to_string(), limit.to_string()];
        let words = [owner, &words[0], &words[1]];
        let script = &self.redis.scripts.due_searches;
        let due = match self.redis.run(script, &keys.each_ref().map(String::as_str), &words).await?
        {
            Reply::Nil => return Ok(None),
            due => texts(due)?,
        };
        let search = |pair: &[String]| {
            let number = pair[1].parse().map_err(|_| unexpected("the number of a search"))?;
            let user = self.redis.listed(&keys[0], &pair[0]);
            Ok(user.map(|user| Search { number, user }))
        };
        due.chunks_exact(2)
            .filter_map(|pair| search(pair).transpose())
            .collect::<Result<_>>()
            .map(Some)
    }

    async fn begin_search(&self, search: &Search) -> Result<()> {
        let (script, key) =
            (&self.redis.scripts.raise_last_id, self.redis.keys.searched(search.user));
        self.redis.run_replicated(script, &[&key], &[&search.number.to_string()]).await.map(drop)
    }

    async fn finish_searches(&self, owner: &str, done: &[Search]) -> Result<()> {
        let keys = [self.redis.keys.searches(), self.redis.keys.search_lease()];
        let pairs = done.iter().flat_map(|search| [search.user.get(), search.number]);
        let pairs: Vec<String> = pairs.map(|number| number.to_string()).collect();
        let words: Vec<&str> =
            [owner].into_iter().chain(pairs.iter().map(String::as_str)).collect();
        let script = &self.redis.scripts.finish_searches;
        self.redis.run(script, &keys.each_ref().map(String::as_str), &words).await.map(drop)
    }
}
