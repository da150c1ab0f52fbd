//! Pages of the sorted sets that are lists of users or of places.

use super::{RedisStorage, at_once, texts, unexpected};
use crate::storage::{Page, Position, Ranked, Result};

/// Records read at a time.
const STEP: usize = 1000;

/// How a list is ordered: by scores, and among equals by the bytes of the members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    LowestFirst,
    HighestFirst,
}

impl RedisStorage {
    /// A page of a list. An entry for which `read` gives nothing is left out.
    pub(super) async fn page<T, F>(
        &self,
        key: &str,
        order: Order,
        page: Page,
        read: impl Fn(Position) -> F,
    ) -> Result<Vec<Ranked<T>>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        let (mut after, mut listed) = (page.after, Vec::new());
        let step = page.limit.min(STEP);
        while listed.len() < page.limit {
            let entries = self.entries(key, order, after, step).await?;
            let items = at_once(entries.iter().copied().map(&read).collect()).await?;
            let ranks = entries.iter().map(|entry| entry.rank);
            let records = ranks.zip(items).filter_map(|(rank, item)| Some((rank, item?)));
            listed.extend(records.map(|(rank, item)| Ranked { rank, item }));
            if entries.len() < step {
                break;
            }
            after = entries.last().copied();
        }
        listed.truncate(page.limit);
        Ok(listed)
    }

    /// The next entries behind one that may have moved or gone.
    async fn entries(
        &self,
        key: &str,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Position>> {
        let direction = match order {
            Order::LowestFirst => "asc",
            Order::HighestFirst => "desc",
        };
        let mut words = vec![direction.to_owned(), limit.to_string()];
        words.extend(
            after.into_iter().flat_map(|after| [after.rank, after.id]).map(|n| n.to_string()),
        );
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let flat = texts(self.run(&self.scripts.page, &[key], &words).await?)?;
        flat.chunks_exact(2).map(|pair| entry(&pair[0], &pair[1])).collect()
    }
}

fn entry(member: &str, score: &str) -> Result<Position> {
    let id = member.parse().map_err(|_| unexpected("the number of a record in an index"))?;
    // Redis has floating-point numbers, which hold all of ours exactly.
    let score: f64 = score.parse().map_err(|_| unexpected("a score"))?;
    Ok(Position { rank: score as u64, id })
}
