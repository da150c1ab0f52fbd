//! Runs requests to a store at the same time.

use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind};

/// Runs each of these futures in a task of its own, and returns their results in no particular order, or one of their
/// errors. After an error the others still run to their end: what one server of a cluster refuses, the other servers
/// do all the same. The caller limits their number.
pub(crate) async fn at_once<T, F>(futures: impl Iterator<Item = F>) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let (mut tasks, mut results) = (futures.collect::<JoinSet<_>>(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        results.push(joined.unwrap_or_else(|cause| Err(Error::new(ErrorKind::Store, cause))));
    }
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_error_does_not_end_the_others() {
        let done = Arc::new(AtomicUsize::new(0));
        let each = (0..5).map(|number| {
            let done = Arc::clone(&done);
            async move {
                if number == 2 {
                    return Err(Error::new(ErrorKind::Unavailable, "refused"));
                }
                tokio::task::yield_now().await;
                done.fetch_add(1, Ordering::Relaxed);
                Ok(number)
            }
        });
        let error = at_once(each).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(done.load(Ordering::Relaxed), 4);
    }
}
