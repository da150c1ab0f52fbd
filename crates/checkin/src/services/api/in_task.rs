//! Response bodies that are produced while they are sent.

use futures_util::{Stream, StreamExt, stream as streams};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Runs `source` in a task of its own and returns its items as a stream. At most `ahead` items wait
/// for the reader. The task ends when the stream is dropped.
///
/// The body of a response is polled only while its client reads. A source inside the body could
/// hold a connection or a lock of the store for as long as the client delays.
pub(super) fn in_task<T: Send + 'static>(
    ahead: usize,
    source: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = T> + Send + 'static {
    let (sender, receiver) = mpsc::channel(ahead);
    // A `JoinSet` ends its tasks when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut source = std::pin::pin!(source);
        while let Some(item) = source.next().await {
            if sender.send(item).await.is_err() {
                break;
            }
        }
    });
    streams::unfold((receiver, task), async |(mut receiver, task)| {
        let item = receiver.recv().await?;
        Some((item, (receiver, task)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Returns a stream of numbers, and the count of those that it has produced.
    fn counting() -> (Arc<AtomicUsize>, impl Stream<Item = usize> + Send + 'static) {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        (made, streams::repeat_with(move || counter.fetch_add(1, Ordering::Relaxed)))
    }

    #[tokio::test]
    async fn a_source_is_a_limited_number_of_items_ahead() {
        let (made, source) = counting();
        let mut items = std::pin::pin!(in_task(3, source));
        for expected in 0..10 {
            assert_eq!(items.next().await, Some(expected));
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        // Three items wait in the channel, and the task holds one more.
        assert_eq!(made.load(Ordering::Relaxed), 14);
    }

    #[tokio::test]
    async fn a_source_ends_with_its_stream() {
        let (made, source) = counting();
        drop(in_task(1, source));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&made), 1);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_source() {
        let items: Vec<_> = in_task(1, streams::iter(0..5)).collect().await;
        assert_eq!(items, [0, 1, 2, 3, 4]);
    }
}
