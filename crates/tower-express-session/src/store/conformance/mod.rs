//! The test suite for a [`Store`]. The module [`accounts`] has the suite for an
//! [`AccountStore`](super::AccountStore).
//!
//! A store passes the suite if [`run`] returns:
//!
//! ```
//! use tower_express_session::MemoryStore;
//! use tower_express_session::store::conformance::{self, StoreUnderTest};
//! # use std::sync::{Arc, Mutex};
//! # use std::time::{Duration, Instant};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let now = Arc::new(Mutex::new(Instant::now()));
//! let clock = Arc::clone(&now);
//! let store = MemoryStore::with_clock(move || *clock.lock().unwrap());
//! let pass_time = |_: &str, time| *now.lock().unwrap() += time;
//! conformance::run(&StoreUnderTest { store: &store, pass_time: &pass_time }).await;
//! # });
//! ```

pub mod accounts;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{Created, Freshness, Store, Stored, Updated};
use crate::id::SessionId;

/// A store under test.
pub struct StoreUnderTest<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// Lets time pass, at least for the session with this id: moves the store's clock, or shortens
    /// the session's time to live in the database.
    pub pass_time: &'a (dyn Fn(&str, Duration) + Sync),
}

const TTL: Duration = Duration::from_secs(100);

/// Runs the whole suite.
///
/// # Panics
///
/// Panics if the store breaks the contract; the message tells which part.
pub async fn run(subject: &StoreUnderTest<'_>) {
    run_without_epochs(subject).await;
    subject.an_epoch_stays_with_its_session().await;
}

/// Runs the suite for a store that keeps no epochs.
///
/// # Panics
///
/// As [`run`].
pub async fn run_without_epochs(subject: &StoreUnderTest<'_>) {
    subject.values_are_returned_unchanged().await;
    subject.create_never_overwrites().await;
    subject.update_compares_the_exact_bytes().await;
    subject.update_and_touch_never_restore_a_session().await;
    subject.overwrite_replaces_any_value().await;
    subject.sessions_expire().await;
    subject.every_write_and_touch_restarts_the_time_to_live().await;
    subject.load_returns_the_time_left().await;
    subject.ids_are_opaque().await;
    subject.one_of_many_concurrent_writers_wins().await;
}

/// Runs the suite for a store with an absolute timeout.
///
/// # Panics
///
/// Panics if the store breaks the contract; the message tells which part.
pub async fn run_with_absolute_timeout(subject: &StoreUnderTest<'_>, timeout: Duration) {
    assert!(timeout > TTL, "the absolute timeout must be longer than {TTL:?}");
    run(subject).await;
    subject.no_use_prolongs_the_absolute_timeout(timeout).await;
}

impl StoreUnderTest<'_> {
    async fn values_are_returned_unchanged(&self) {
        let id = fresh_id();
        assert_eq!(self.load(&id).await, None, "an unknown id has no value");
        for value in [&b""[..], b"{\"cookie\":{}}", b"\0\r\n\xff", &[b'x'; 1 << 20]] {
            self.store.overwrite(&id, Bytes::copy_from_slice(value), TTL).await.expect("overwrite");
            assert_eq!(
                self.load(&id).await.as_deref(),
                Some(value),
                "a value is returned unchanged"
            );
        }
        self.destroy(&id).await;
        assert_eq!(self.load(&id).await, None, "a destroyed session has no value");
        self.destroy(&id).await;
    }

    async fn create_never_overwrites(&self) {
        let id = self.created("first").await;
        let again =
            self.store.create(&id, Bytes::from("second"), TTL, Some(9)).await.expect("create");
        assert_eq!(again, Created::Exists);
        assert_eq!(
            self.load(&id).await.as_deref(),
            Some(&b"first"[..]),
            "create kept the first value"
        );
    }

    async fn update_compares_the_exact_bytes(&self) {
        let id = self.created("one").await;
        assert_eq!(self.update(&id, "one", "two").await, Updated::Stored);
        assert_eq!(self.update(&id, "one", "three").await, Updated::Changed(Bytes::from("two")));
        assert_eq!(self.update(&id, "TWO", "three").await, Updated::Changed(Bytes::from("two")));
        assert_eq!(self.load(&id).await.as_deref(), Some(&b"two"[..]));
        assert_eq!(
            self.update(&id, "two", "two").await,
            Updated::Stored,
            "writing the same value succeeds"
        );
    }

    async fn an_epoch_stays_with_its_session(&self) {
        let id = fresh_id();
        for epoch in [Some(0), Some(7), Some(u64::MAX), None] {
            let created = self.store.create(&id, Bytes::from("one"), TTL, epoch).await;
            assert_eq!(created.expect("create"), Created::Stored);
            let found = async || self.stored(&id).await.expect("the session exists").epoch;
            assert_eq!(found().await, epoch, "load returns the epoch");
            assert_eq!(self.update(&id, "one", "two").await, Updated::Stored);
            assert_eq!(found().await, epoch, "an update keeps it");
            self.store.overwrite(&id, Bytes::from("three"), TTL).await.expect("overwrite");
            assert_eq!(found().await, epoch, "another program's write keeps it");
            self.pass_seconds(&id, 60);
            assert!(self.store.touch(&id, TTL).await.expect("touch"));
            self.pass_seconds(&id, 60);
            assert_eq!(found().await, epoch, "a touch keeps it");
            self.pass_seconds(&id, 60);
            assert_eq!(self.load(&id).await, None, "over");
        }
        let other = fresh_id();
        self.store.overwrite(&other, Bytes::from("one"), TTL).await.expect("overwrite");
        let found = self.stored(&other).await.expect("the session exists");
        assert_eq!(found.epoch, None, "a session of another program has none");
    }

    async fn update_and_touch_never_restore_a_session(&self) {
        let id = self.created("value").await;
        self.destroy(&id).await;
        assert_eq!(self.update(&id, "value", "again").await, Updated::Gone);
        assert!(
            !self.store.touch(&id, TTL).await.expect("touch"),
            "a destroyed session cannot be touched"
        );
        assert_eq!(self.load(&id).await, None, "neither update nor touch restored it");
        // A later end with a short tombstone, or with none, does not shorten the first one.
        for tombstone in [Duration::from_secs(1), Duration::ZERO] {
            let destroyed = self.store.destroy(&id, tombstone).await.expect("destroy");
            assert!(!destroyed, "the session had ended before");
        }
        self.pass_seconds(&id, 3);
        assert_eq!(self.update(&id, "value", "again").await, Updated::Gone);
        assert_eq!(self.load(&id).await, None, "the session stays ended");
        assert_eq!(self.update(&fresh_id(), "value", "again").await, Updated::Gone);
    }

    async fn overwrite_replaces_any_value(&self) {
        let id = self.created("value").await;
        self.store.overwrite(&id, Bytes::from("mine"), TTL).await.expect("overwrite");
        assert_eq!(self.load(&id).await.as_deref(), Some(&b"mine"[..]));
    }

    async fn sessions_expire(&self) {
        let id = self.created("value").await;
        self.pass_seconds(&id, 99);
        assert!(
            self.load(&id).await.is_some(),
            "the session exists until one second before its expiry"
        );
        self.pass_seconds(&id, 2);
        assert_eq!(self.load(&id).await, None, "over");
        assert_eq!(self.update(&id, "value", "again").await, Updated::Gone);
        assert!(
            !self.store.touch(&id, TTL).await.expect("touch"),
            "an expired session cannot be touched"
        );
        let again = self.store.create(&id, Bytes::from("new"), TTL, None).await.expect("create");
        assert_eq!(again, Created::Stored, "the id of an expired session can be used again");
    }

    async fn every_write_and_touch_restarts_the_time_to_live(&self) {
        let id = self.created("one").await;
        self.pass_seconds(&id, 60);
        assert!(self.store.touch(&id, TTL).await.expect("touch"));
        self.pass_seconds(&id, 60);
        assert_eq!(
            self.update(&id, "one", "two").await,
            Updated::Stored,
            "touch restarts the time to live"
        );
        self.pass_seconds(&id, 60);
        assert!(self.load(&id).await.is_some(), "update restarts the time to live");
        self.store.overwrite(&id, Bytes::from("three"), TTL).await.expect("overwrite");
        self.pass_seconds(&id, 60);
        assert!(self.load(&id).await.is_some(), "overwrite restarts the time to live");
        assert!(self.store.touch(&id, Duration::from_secs(1)).await.expect("touch"));
        self.pass_seconds(&id, 2);
        assert_eq!(self.load(&id).await, None, "a touch may also shorten the time to live");
    }

    async fn load_returns_the_time_left(&self) {
        let id = self.created("value").await;
        for (passed, left) in [(0, 100), (60, 40)] {
            self.pass_seconds(&id, passed);
            let stored = self.stored(&id).await.expect("the session exists");
            let tolerance = Duration::from_secs(2);
            let left = Duration::from_secs(left);
            assert!(stored.time_left <= left && stored.time_left + tolerance > left, "{stored:?}");
        }
    }

    async fn no_use_prolongs_the_absolute_timeout(&self, timeout: Duration) {
        let id = self.created("0").await;
        let step = TTL / 2;
        let steps = u32::try_from(timeout.as_millis() / step.as_millis())
            .expect("the number of steps fits");
        for used in 0..steps {
            let stored = self
                .stored(&id)
                .await
                .expect("the session is in use and within the absolute timeout");
            let value = stored.value.clone();
            let value_after = Bytes::from(used.to_string());
            match used % 2 {
                0 => assert!(self.store.touch(&id, TTL).await.expect("touch")),
                _ => {
                    let updated = self.store.update(&id, &value, value_after, TTL).await;
                    assert_eq!(updated.expect("update"), Updated::Stored);
                }
            }
            let age = step * used;
            let stored = self.stored(&id).await.expect("there");
            let left = stored.time_left;
            assert!(left <= timeout - age, "{left:?} are left at the age of {age:?}");
            assert_eq!(stored.is_final, timeout - age <= TTL, "at the age of {age:?}");
            (self.pass_time)(id.as_str(), step);
        }
        (self.pass_time)(id.as_str(), step);
        assert_eq!(self.load(&id).await, None, "the session ends at the absolute timeout");
        assert_eq!(self.update(&id, "0", "again").await, Updated::Gone);
    }

    async fn ids_are_opaque(&self) {
        let names = [
            "*",
            "?",
            "[a-z]",
            "{",
            "}",
            "{}",
            "{a}:x",
            "a:b",
            "..",
            "../x",
            "a b",
            "a\r\nDEL x",
            "\0",
            "é",
            "%",
            "_",
            "'",
            "\"",
            "\\",
            "; DROP TABLE sessions",
            &"x".repeat(4096),
        ];
        let ids =
            names.map(|name| SessionId::from(format!("{name}{}", fresh_id().as_str()).as_str()));
        for id in &ids {
            self.store
                .overwrite(id, Bytes::copy_from_slice(id.as_str().as_bytes()), TTL)
                .await
                .expect("overwrite");
        }
        for id in &ids {
            assert_eq!(self.load(id).await.as_deref(), Some(id.as_str().as_bytes()), "{id:?}");
            self.destroy(id).await;
            assert_eq!(self.load(id).await, None, "{id:?}");
        }
    }

    async fn one_of_many_concurrent_writers_wins(&self) {
        let id = self.created("0").await;
        let values: Vec<String> = (1..=16).map(|writer| writer.to_string()).collect();
        let mut stored = Vec::new();
        for updated in join_all(values.iter().map(|value| self.update(&id, "0", value))).await {
            stored.extend((updated == Updated::Stored).then_some(()));
        }
        assert_eq!(stored.len(), 1, "one writer succeeds, and all others see a change");
    }

    async fn created(&self, value: &str) -> SessionId {
        let id = fresh_id();
        let created =
            self.store.create(&id, Bytes::copy_from_slice(value.as_bytes()), TTL, None).await;
        assert_eq!(created.expect("create"), Created::Stored);
        id
    }

    async fn update(&self, id: &SessionId, base: &str, value: &str) -> Updated {
        let (base, value) =
            (Bytes::copy_from_slice(base.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
        self.store.update(id, &base, value, TTL).await.expect("update")
    }

    async fn load(&self, id: &SessionId) -> Option<Bytes> {
        self.stored(id).await.map(|stored| stored.value)
    }

    async fn stored(&self, id: &SessionId) -> Option<Stored> {
        let cached = self.store.load(id, Freshness::Cached).await.expect("load");
        let latest = self.store.load(id, Freshness::Latest).await.expect("load");
        let value = |stored: &Option<Stored>| stored.as_ref().map(|stored| stored.value.clone());
        assert_eq!(
            value(&cached),
            value(&latest),
            "a cache returns the latest write of the same process"
        );
        latest
    }

    async fn destroy(&self, id: &SessionId) {
        let destroyed = self.store.destroy(id, TTL).await;
        destroyed.expect("destroying succeeds, whether there is a session or not");
    }

    fn pass_seconds(&self, id: &SessionId, seconds: u64) {
        (self.pass_time)(id.as_str(), Duration::from_secs(seconds));
    }
}

/// Polls all futures until each is done, on this task.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(cx) {
                *output = Some(value);
            }
        }
        match futures.iter().all(|(_, output)| output.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}

fn fresh_id() -> SessionId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let random = SessionId::generate().expect("random numbers");
    SessionId::from(format!("{}{}", random.as_str(), NEXT.fetch_add(1, Ordering::Relaxed)).as_str())
}

impl fmt::Debug for StoreUnderTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreUnderTest").field("store", &self.store).finish_non_exhaustive()
    }
}
