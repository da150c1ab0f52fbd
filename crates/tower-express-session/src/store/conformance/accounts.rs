//! The test suite for an [`AccountStore`]. It complements the suite for a [`Store`](crate::Store).
//!
//! A store passes the suite if [`run`] returns:
//!
//! ```
//! use tower_express_session::MemoryStore;
//! use tower_express_session::store::conformance::accounts::{self, AccountStoreUnderTest};
//! # use std::sync::{Arc, Mutex};
//! # use std::time::{Duration, Instant};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let now = Arc::new(Mutex::new(Instant::now()));
//! let clock = Arc::clone(&now);
//! let store = MemoryStore::with_clock(move || *clock.lock().unwrap());
//! let pass_time = |_: &str, time| *now.lock().unwrap() += time;
//! accounts::run(&AccountStoreUnderTest { store: &store, pass_time: &pass_time, neighbour: None }).await;
//! # });
//! ```

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::{TTL, fresh_id, join_all};
use crate::id::SessionId;
use crate::store::{AccountStore, Created, IndexedSession};

/// A store under test.
pub struct AccountStoreUnderTest<'a> {
    /// The store.
    pub store: &'a dyn AccountStore,
    /// Lets time pass, at least for the session with this id and for the index of the account with
    /// this name: moves the store's clock, or shortens the time to live in the database.
    pub pass_time: &'a (dyn Fn(&str, Duration) + Sync),
    /// Another application's store in the same database, under another prefix, if a database may be
    /// shared.
    pub neighbour: Option<&'a dyn AccountStore>,
}

/// More sessions than a store reads in one step of a scan, so that the scan needs several steps.
const MANY: usize = 1_100;

/// Names with special characters of one database or another.
const HOSTILE: [&str; 22] = [
    "",
    "*",
    "?",
    "[a-z]",
    "{",
    "}",
    "{}",
    "{a}",
    "a",
    "a:b",
    "a b",
    "a\r\nDEL x",
    "\0",
    "a\0",
    "é",
    "%",
    "_",
    "'",
    "\"",
    "\\",
    "c:",
    "'; DROP TABLE noted_sessions; --",
];

/// Runs the whole suite.
///
/// # Panics
///
/// Panics if the store breaks the contract; the message tells which part.
pub async fn run(subject: &AccountStoreUnderTest<'_>) {
    subject.indexed_entries_are_returned().await;
    subject.the_time_of_creation_is_kept().await;
    subject.removed_entries_are_gone().await;
    subject.accounts_are_opaque().await;
    subject.ids_are_opaque().await;
    subject.entries_expire_together_after_the_longest_time().await;
    subject.each_visits_every_live_session().await;
    subject.sessions_end_together().await;
    subject.applications_are_separate().await;
}

impl AccountStoreUnderTest<'_> {
    async fn indexed_entries_are_returned(&self) {
        let account = fresh_account();
        assert_eq!(self.indexed(&account).await, [], "a new account has no entries");
        let plain = indexed_of(&fresh_id());
        let device = "Möbius/1.0 (\"quoted\"; 'too'; \\ {} \u{1F600}\t)".to_owned();
        let odd =
            IndexedSession { device, address: "2001:db8::1".to_owned(), ..indexed_of(&fresh_id()) };
        for session in [&plain, &odd] {
            self.index(&account, session, TTL).await;
        }
        let indexed = self.indexed(&account).await;
        assert_eq!(indexed.len(), 2, "each session has one entry: {indexed:?}");
        assert!(
            indexed.contains(&plain) && indexed.contains(&odd),
            "entries are returned as they were indexed: {indexed:?}"
        );
    }

    async fn the_time_of_creation_is_kept(&self) {
        let account = fresh_account();
        let first = indexed_of(&fresh_id());
        let again = IndexedSession {
            created_ms: first.created_ms + 5_000,
            last_seen_ms: first.last_seen_ms + 5_000,
            device: "another".to_owned(),
            address: "192.0.2.2".to_owned(),
            ..first.clone()
        };
        self.index(&account, &first, TTL).await;
        self.index(&account, &again, TTL).await;
        let kept = IndexedSession { created_ms: first.created_ms, ..again.clone() };
        assert_eq!(
            self.indexed(&account).await,
            [kept],
            "everything except the time of creation is updated"
        );
        self.unindex(&account, &[&first]).await;
        self.index(&account, &again, TTL).await;
        assert_eq!(
            self.indexed(&account).await,
            [again],
            "after a removal the time of creation is new"
        );
    }

    async fn removed_entries_are_gone(&self) {
        let account = fresh_account();
        let sessions = [(); 3].map(|()| indexed_of(&fresh_id()));
        for session in &sessions {
            self.index(&account, session, TTL).await;
        }
        self.unindex(&account, &[]).await;
        assert_eq!(self.indexed(&account).await.len(), 3, "no entry is removed");
        self.unindex(&account, &[&sessions[0], &sessions[2]]).await;
        assert_eq!(self.indexed(&account).await, [sessions[1].clone()]);
        self.unindex(&account, &[&sessions[0]]).await;
        self.unindex(&fresh_account(), &[&sessions[0]]).await;
        assert_eq!(self.indexed(&account).await, [sessions[1].clone()], "the other entry is kept");
    }

    async fn accounts_are_opaque(&self) {
        let long = "x".repeat(500);
        let names: Vec<&str> = HOSTILE.into_iter().chain([long.as_str()]).collect();
        let sessions: Vec<_> = names.iter().map(|_| indexed_of(&fresh_id())).collect();
        for (name, session) in names.iter().zip(&sessions) {
            self.index(name, session, TTL).await;
        }
        for (at, name) in names.iter().enumerate() {
            assert_eq!(self.indexed(name).await, [sessions[at].clone()], "of {name:?}");
            self.unindex(name, &[&sessions[at]]).await;
            assert_eq!(self.indexed(name).await, [], "of {name:?}");
        }
    }

    async fn ids_are_opaque(&self) {
        let account = fresh_account();
        let long = "s:".repeat(250);
        let ids = HOSTILE.into_iter().chain(["s:", "c:c:", &long]).map(SessionId::from);
        let sessions: Vec<_> = ids.map(|id| indexed_of(&id)).collect();
        for session in &sessions {
            self.index(&account, session, TTL).await;
        }
        let indexed = self.indexed(&account).await;
        assert_eq!(indexed.len(), sessions.len(), "each id has its own entry");
        for session in &sessions {
            assert!(indexed.contains(session), "{session:?}");
            self.unindex(&account, &[session]).await;
            assert!(!self.indexed(&account).await.contains(session), "{session:?}");
        }
        assert_eq!(self.indexed(&account).await, []);
    }

    async fn entries_expire_together_after_the_longest_time(&self) {
        let account = fresh_account();
        let (long, short) = (indexed_of(&fresh_id()), indexed_of(&fresh_id()));
        self.index(&account, &long, TTL).await;
        self.index(&account, &short, TTL / 10).await;
        self.pass_seconds(&account, 99);
        assert_eq!(
            self.indexed(&account).await.len(),
            2,
            "the entries are kept for the longest time"
        );
        self.index(&account, &short, TTL).await;
        self.pass_seconds(&account, 99);
        assert_eq!(self.indexed(&account).await.len(), 2, "another call extends the time");
        self.pass_seconds(&account, 2);
        assert_eq!(self.indexed(&account).await, [], "the entries expire");
        let again = IndexedSession { created_ms: long.created_ms + 1, ..long };
        self.index(&account, &again, TTL).await;
        assert_eq!(
            self.indexed(&account).await,
            [again],
            "after the expiry the time of creation is new"
        );
    }

    async fn each_visits_every_live_session(&self) {
        let ids: Vec<_> = (0..MANY).map(|_| fresh_id()).collect();
        join_all(ids.iter().map(|id| self.create(self.store, id))).await;
        let (over, ended) = (fresh_id(), fresh_id());
        self.create(self.store, &ended).await;
        self.store.destroy(&ended, TTL).await.expect("destroy");
        let shown = self.shown(self.store).await;
        let is_shown = |id: &&SessionId| shown.get(id) == Some(&value_of(id));
        assert_eq!(
            ids.iter().filter(is_shown).count(),
            MANY,
            "all sessions are visited, with their values"
        );
        assert!(!shown.contains_key(&ended), "a destroyed session is not visited");
        self.create(self.store, &over).await;
        self.pass_seconds(over.as_str(), 101);
        assert!(
            !self.shown(self.store).await.contains_key(&over),
            "an expired session is not visited"
        );
    }

    async fn sessions_end_together(&self) {
        let ids: Vec<_> = (0..MANY).map(|_| fresh_id()).collect();
        // The first one is never created, and the last one is kept.
        join_all(ids[1..].iter().map(|id| self.create(self.store, id))).await;
        let ending: Vec<_> = ids[..MANY - 1].iter().map(|id| (id.clone(), TTL)).collect();
        for expected in [MANY - 2, 0] {
            let ended = self.store.destroy_each(&ending).await.expect("destroy_each");
            assert_eq!(ended, expected, "those that existed are counted");
        }
        let shown = self.shown(self.store).await;
        assert!(ending.iter().all(|(id, _)| !shown.contains_key(id)), "each of them has ended");
        assert!(shown.contains_key(&ids[MANY - 1]), "the others are kept");
        assert_eq!(self.store.destroy_each(&[]).await.expect("destroy_each"), 0);
    }

    async fn applications_are_separate(&self) {
        let Some(neighbour) = self.neighbour else { return };
        let account = fresh_account();
        let session = indexed_of(&fresh_id());
        neighbour.index(&account, &session, TTL).await.expect("indexing succeeds");
        assert_eq!(
            self.indexed(&account).await,
            [],
            "an entry of another application is not visible"
        );
        self.unindex(&account, &[&session]).await;
        let indexed = neighbour.indexed(&account).await.expect("the index can be read");
        assert_eq!(indexed, [session], "an entry of another application is not removed");
        let (ours, theirs) = (fresh_id(), fresh_id());
        self.create(self.store, &ours).await;
        self.create(neighbour, &theirs).await;
        for (store, own) in [(self.store, &ours), (neighbour, &theirs)] {
            let shown = self.shown(store).await;
            let other = if own == &ours { &theirs } else { &ours };
            assert!(shown.contains_key(own));
            let foreign = |id: &&SessionId| id.as_str().ends_with(other.as_str());
            assert_eq!(
                shown.keys().find(foreign),
                None,
                "a session of another application is not visited"
            );
        }
    }

    async fn index(&self, account: &str, session: &IndexedSession, keep: Duration) {
        self.store.index(account, session, keep).await.expect("indexing succeeds");
    }

    async fn indexed(&self, account: &str) -> Vec<IndexedSession> {
        self.store.indexed(account).await.expect("the index can be read")
    }

    async fn unindex(&self, account: &str, sessions: &[&IndexedSession]) {
        let ids: Vec<_> = sessions.iter().map(|session| session.id.clone()).collect();
        self.store
            .unindex(account, &ids)
            .await
            .expect("removing an entry succeeds, whether there is one or not");
    }

    /// Creates a session whose value is derived from its id.
    async fn create(&self, store: &dyn AccountStore, id: &SessionId) {
        let created = store.create(id, value_of(id), TTL, None).await;
        assert_eq!(created.expect("create"), Created::Stored);
    }

    async fn shown(&self, store: &dyn AccountStore) -> HashMap<SessionId, Bytes> {
        let mut shown = HashMap::new();
        store.each(&mut |id, value| drop(shown.insert(id, value))).await.expect("each");
        shown
    }

    fn pass_seconds(&self, name: &str, seconds: u64) {
        (self.pass_time)(name, Duration::from_secs(seconds));
    }
}

fn value_of(id: &SessionId) -> Bytes {
    Bytes::copy_from_slice(id.as_str().as_bytes())
}

fn fresh_account() -> String {
    fresh_id().as_str().to_owned()
}

fn indexed_of(id: &SessionId) -> IndexedSession {
    let at_ms = 1_750_000_000_000;
    IndexedSession {
        id: id.clone(),
        created_ms: at_ms,
        last_seen_ms: at_ms + 1,
        device: "Browser/1.0".to_owned(),
        address: "192.0.2.1".to_owned(),
    }
}

impl fmt::Debug for AccountStoreUnderTest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountStoreUnderTest").field("store", &self.store).finish_non_exhaustive()
    }
}
