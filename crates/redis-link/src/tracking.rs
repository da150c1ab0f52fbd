//! Notifications of changed keys, for a cache in front of Redis.
//!
//! Each server is followed on a connection of its own, on which replies and notifications arrive in the
//! order in which the server sent them. A heartbeat on the same connection shows that everything that
//! the server changed before has been notified.
//!
//! # On a cluster
//!
//! Each primary is followed. A heartbeat consists of two commands: a write on a key of one of its slots,
//! and the question which slots it has (`CLUSTER NODES`). A cache may answer for a key of a slot from
//! what it read **on this connection**, as long as no heartbeat since then
//!
//! - shows that the slot is gone, or
//! - failed, or came too late, or
//! - shows another configuration epoch. A primary that gives up a slot and gets it back, however
//!   quickly, has another epoch then, and the connection is given up.
//!
//! Such an answer is what the primary itself would have answered at the time of that heartbeat: it had
//! the slot then, so it had carried out each change of the key, and its notification came before the
//! reply. The signals of a slot that moves would not be enough. `MIGRATE` and the atomic migration of
//! slots delete the keys on the old primary, which is notified; but a primary that another one has
//! replaced in a slot (Redis 6.2, 7.0) deletes them without a notification, and a key that is changed
//! on its new primary is notified there alone. A heartbeat on one key shows only that its own slot is
//! still there, and the epoch does not always increase with a move. Therefore the slots are asked for.
//!
//! A read on another connection could be answered by an old primary, after the new one has notified a
//! change. Therefore the reader of a heartbeat reads from the server of that heartbeat.
//!
//! The two commands need not be carried out at the same moment: each shows something about a time after
//! the heartbeat was sent. The write is refused by a primary that was demoted, that is being replaced
//! (`CLUSTER FAILOVER` and the atomic migration of slots suspend writes on the old primary before the
//! new one accepts any), or that does not see the majority of the primaries. The last of these is known
//! to the primary only after the node time-out of the cluster (`cluster-node-timeout`). Until then, two
//! primaries may serve the slot, and a cache of the old one answers what the old one would answer.

#[cfg(feature = "cluster")]
mod primaries;
mod server;
mod slots;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

pub use self::slots::Slots;
#[cfg(feature = "cluster")]
pub(crate) use self::slots::View;

use crate::client::Client;
use crate::error::Error;

/// A notification about the keys with a prefix; see [`Client::track`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Tracked<'a> {
    /// This key was changed or removed.
    Changed(&'a [u8]),
    /// Any key may have changed: the connection with this number was lost, or all keys of its server
    /// were flushed. The cache must drop all that it read under its heartbeats, and must add nothing
    /// before the next [`Current`](Self::Current).
    #[non_exhaustive]
    Lost {
        /// The number of the connection.
        source: u64,
    },
    /// A heartbeat was answered: all changes before it was sent have been notified.
    Current(&'a Heartbeat),
}

/// An answered heartbeat of a server; see [`Client::track`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The number of the connection. A new connection has a new number.
    pub source: u64,
    /// When it was sent.
    pub sent: Instant,
    /// The slots that the server had; outside a cluster, all. The cache must drop what it read of other
    /// slots under the heartbeats of this connection.
    pub slots: Slots,
    /// The configuration epoch of a primary. If two servers have a slot, the higher one counts.
    pub epoch: u64,
    /// A client of this server alone, for reads that are cached. It follows no redirection, so a read
    /// that it cannot carry out must be sent to the cluster. `None` outside a cluster, where any
    /// client may read.
    pub reader: Option<Client>,
}

impl Heartbeat {
    /// Returns a heartbeat of a server that has all slots.
    #[must_use]
    pub fn new(source: u64, sent: Instant) -> Self {
        Self { source, sent, slots: Slots::all(), epoch: 0, reader: None }
    }
}

impl Client {
    /// Calls `notify` for each change of a key that begins with `prefix`, whichever client makes it. It
    /// uses a dedicated connection, on a cluster one for each primary. They are replaced when they
    /// are lost. It runs until the future is dropped.
    ///
    /// A cache is correct if it drops each entry that is [changed](Tracked::Changed), drops the entries
    /// of a connection that is [lost](Tracked::Lost), and is not used while the last
    /// [heartbeat](Tracked::Current) is older than the lease. `heartbeat` is the interval between two
    /// heartbeats. A read must begin under a lease, and its result may be cached if no change of its key
    /// and no loss was notified meanwhile. On a cluster, each primary has its own lease: a cache
    /// must read with the [reader](Heartbeat::reader) of the primary that has the slot of the key, and
    /// drop the entry when that primary loses the slot. `notify` is called on the tasks of the
    /// connections and must not block.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) {
    /// use std::time::Duration;
    /// use redis_link::Tracked;
    ///
    /// let notify = |tracked: Tracked<'_>| match tracked {
    ///     Tracked::Changed(key) => { /* drop this key from the cache */ }
    ///     Tracked::Current(heartbeat) => { /* the lease ends a while after `heartbeat.sent` */ }
    ///     _ => { /* drop everything */ }
    /// };
    /// let tracking = client.clone();
    /// let task = tokio::spawn(async move {
    ///     tracking.track("app:", Duration::from_millis(100), notify).await
    /// });
    /// task.abort(); // ends it
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a client made by
    /// [`from_connection`](Self::from_connection).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connections.
    pub async fn track(
        &self,
        prefix: &str,
        heartbeat: Duration,
        notify: impl Fn(Tracked<'_>) + Send + Sync + 'static,
    ) -> Result<Infallible, Error> {
        let tracking = Arc::new(Tracking {
            client: self.clone(),
            prefix: prefix.into(),
            heartbeat,
            notify: Box::new(notify),
            connections: AtomicU64::new(0),
            news: Notify::new(),
        });
        #[cfg(feature = "cluster")]
        if self.is_cluster() {
            return tracking.follow_primaries().await;
        }
        tracking.follow(Arc::clone(&self.links().connector)).await
    }
}

/// What all followed servers share.
struct Tracking {
    client: Client,
    prefix: Box<str>,
    heartbeat: Duration,
    notify: Box<dyn Fn(Tracked<'_>) + Send + Sync>,
    /// The number of connections so far.
    connections: AtomicU64,
    /// Notified when the primaries of a cluster may have changed.
    news: Notify,
}
