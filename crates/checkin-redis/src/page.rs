//! Pages of the sorted sets that are lists of users or of places.

use super::{RedisStorage, at_once, texts};
use checkin_storage::{Page, Position, Ranked, Result, StorageError};

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
            let (entries, is_last) = self.entries(key, order, after, step).await?;
            let items = at_once(entries.iter().copied().map(&read).collect()).await?;
            let ranks = entries.iter().map(|entry| entry.rank);
            let records = ranks.zip(items).filter_map(|(rank, item)| Some((rank, item?)));
            listed.extend(records.map(|(rank, item)| Ranked { rank, item }));
            // What is no entry of ours does not say where to go on.
            if is_last || entries.is_empty() {
                break;
            }
            after = entries.last().copied();
        }
        listed.truncate(page.limit);
        Ok(listed)
    }

    /// The next entries behind one that may have moved or gone, without those that name no record,
    /// and whether there are no more.
    async fn entries(
        &self,
        key: &str,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<Position>, bool)> {
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
        let found = flat.chunks_exact(2).map(|pair| entry(&pair[0], &pair[1]));
        let entries = found.filter_map(|entry| self.reports.told(key, entry).ok()).collect();
        Ok((entries, flat.len() < 2 * limit))
    }
}

fn entry(member: &str, score: &str) -> Result<Position> {
    let wrong = |what| StorageError::unreadable(format!("a member of the index is not {what}"));
    let id = member.parse().map_err(|_| wrong("the number of a record"))?;
    // Redis has floating-point numbers, which hold all of ours exactly.
    let score: f64 = score.parse().map_err(|_| wrong("with a score"))?;
    Ok(Position { rank: score as u64, id })
}
