//! Runs requests to a store at the same time.

use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind};

/// Runs each of these futures in a task of its own, and returns their results in no particular order. After an
/// error the others are aborted. The caller limits their number.
pub(crate) async fn at_once<T, F>(futures: impl Iterator<Item = F>) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let (mut tasks, mut results) = (futures.collect::<JoinSet<_>>(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        results.push(joined.map_err(|cause| Error::new(ErrorKind::Store, cause))??);
    }
    Ok(results)
}
