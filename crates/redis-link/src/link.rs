//! The connection that all commands share, and its replacement when it is lost.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{PushInfo, PushKind, RedisError, Value};
use tokio::time::Instant;

use crate::cause::code;
use crate::connection::Connection;
use crate::connector::Connector;
use crate::observer::Observer;
use crate::reply::Reply;
use crate::request::{Request, Words};
use crate::timeouts::Timeouts;
use crate::tracking::Slots;

/// How long commands fail at once after a failed attempt to connect, so that not each of them tries
/// to connect. Doubled with each further failure, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause until it is tried again to reach a missing node of a cluster, while the others are in use.
const LONGEST_PAUSE_OF_REST: Duration = Duration::from_millis(200);

pub(crate) struct Links {
    pub(crate) connector: Arc<Connector>,
    pub(crate) timeouts: Timeouts,
    pub(crate) observer: Observer,
    // Locked to take or replace the link, never across an await.
    link: Mutex<Option<Link>>,
    // Held while connecting, so that one task connects and the others wait for it.
    connecting: tokio::sync::Mutex<Attempts>,
    /// Held by the task that connects to a cluster while commands use the last link.
    meanwhile: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Attempts {
    failures: u32,
    /// Commands of this generation fail with this cause until this time.
    pause: Option<(Instant, u64, RedisError)>,
}

impl Attempts {
    fn pause(&mut self, longest: Duration, generation: u64, cause: RedisError) {
        let end = Instant::now() + pause(self.failures).min(longest);
        self.pause = Some((end, generation, cause));
        self.failures += 1;
    }
}

/// A connection, and whether it can still be used.
#[derive(Clone)]
pub(crate) struct Link {
    connection: Connection,
    /// The generation of the connector when the connection was opened.
    generation: u64,
    /// Set when the connection is lost; the next command opens another. Shared by all clones.
    lost: Arc<AtomicBool>,
    /// The slots of the nodes of a cluster that the connection lacks. Commands for them fail.
    missing: Option<Arc<Slots>>,
}

impl Links {
    pub(crate) fn new(connector: Arc<Connector>, timeouts: Timeouts, observer: Observer) -> Self {
        let (link, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { connector, timeouts, observer, link, connecting, meanwhile: Arc::default() }
    }

    /// Returns the current link, or connects and returns a new one. Connecting may take longer than a
    /// command may: the command fails then, and the connection is there for later ones. On a cluster, commands
    /// use the old link meanwhile, on which only one of the nodes may be lost.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Link, RedisError> {
        if let Some(link) = self.current() {
            return Ok(link);
        }
        if let Some(former) = self.former() {
            self.connect_meanwhile();
            return Ok(former);
        }
        let links = Arc::clone(self);
        // The caller may stop waiting.
        let connecting = tokio::spawn(async move { links.connect().await });
        let aborted = |_| Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        let link = connecting.await.unwrap_or_else(aborted)?;
        if link.missing.is_some() {
            self.connect_meanwhile();
        }
        Ok(link)
    }

    /// Connects to a cluster in a task, and again and again while one of its nodes is missing.
    fn connect_meanwhile(self: &Arc<Self>) {
        // Released also if the task ends with its runtime.
        let Ok(held) = Arc::clone(&self.meanwhile).try_lock_owned() else { return };
        let links = Arc::downgrade(self);
        tokio::spawn(async move {
            let _held = held;
            while let Some(links) = links.upgrade() {
                // Later commands find the result.
                drop(links.connect().await);
                if links.former().is_none_or(|link| link.missing.is_none()) {
                    return;
                }
                drop(links);
                tokio::time::sleep(LONGEST_PAUSE_OF_REST).await;
            }
        });
    }

    /// Returns the current link, or connects, however long that takes.
    pub(crate) async fn connect(&self) -> Result<Link, RedisError> {
        let mut attempts = self.connecting.lock().await;
        if let Some(link) = self.current() {
            return Ok(link); // Another task connected while this one waited.
        }
        let generation = self.connector.generation();
        if let Some((end, paused, cause)) = &attempts.pause
            && (Instant::now() < *end && *paused == generation)
        {
            return self.former().ok_or_else(|| cause.clone());
        }
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        // Notices the loss of an idle connection at once, so that the next command need not fail.
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Relaxed);
            }
        };
        let connect = async {
            let connection = self.connector.connect(self.timeouts, on_push).await?;
            let missing = connection.missing().await?;
            Ok::<_, RedisError>((connection, missing.map(Arc::new)))
        };
        match connect.await {
            Ok((connection, missing)) => {
                self.observer.connected();
                match &missing {
                    None => *attempts = Attempts::default(),
                    Some(_) => {
                        lost.store(true, Ordering::Relaxed);
                        attempts.pause(LONGEST_PAUSE_OF_REST, generation, not_connected());
                    }
                }
                let link = Link { connection, generation, lost, missing };
                *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
                Ok(link)
            }
            Err(cause) => {
                attempts.pause(LONGEST_PAUSE, generation, cause.clone());
                tracing::debug!(redis.failures = attempts.failures, %cause, "cannot connect to Redis");
                Err(cause)
            }
        }
    }

    /// Returns the last link to a cluster, although it is lost.
    fn former(&self) -> Option<Link> {
        let link = || self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.connector.is_cluster().then(link).flatten()
    }

    /// Returns the current link, if it can be used.
    pub(crate) fn current(&self) -> Option<Link> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.connector.generation();
        let is_usable =
            |link: &&Link| link.generation == generation && !link.lost.load(Ordering::Relaxed);
        link.as_ref().filter(is_usable).cloned()
    }
}

impl Link {
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<Reply, RedisError> {
        if self.missing.is_some() {
            self.has(request.slot())?;
        }
        let answer = self.connection.send(request).await;
        let answer = answer.and_then(|value| request.outcome(value));
        self.noticed(answer.map(Reply::from))
    }

    /// Gives the connection up after an error that shows that it is lost.
    fn noticed(&self, answer: Result<Reply, RedisError>) -> Result<Reply, RedisError> {
        answer.inspect_err(|cause| {
            // READONLY comes from a replica: another server is the master now. After a time-out the
            // server may be unreachable although the connection still looks open.
            let moved = code(cause) == Some("READONLY");
            if cause.is_unrecoverable_error() || cause.is_timeout() || moved {
                self.lost.store(true, Ordering::Relaxed);
            }
        })
    }

    /// Sends a request to a node of a cluster that is getting its slot.
    pub(crate) async fn ask(
        &mut self,
        request: &Request<'_>,
        node: &str,
    ) -> Result<Reply, RedisError> {
        let answer = self.connection.ask(request, node).await;
        answer.and_then(|value| request.outcome(value)).map(Reply::from)
    }

    /// Sends a command to the primary of a slot.
    pub(crate) async fn send_to(
        &mut self,
        words: Words<'_>,
        slot: u16,
    ) -> Result<Reply, RedisError> {
        self.has(Some(slot))?;
        let answer = self.connection.send_to(words, slot).await;
        self.noticed(answer.and_then(Value::extract_error).map(Reply::from))
    }
}

impl Link {
    /// Fails if the connection lacks the node of this slot.
    fn has(&self, slot: Option<u16>) -> Result<(), RedisError> {
        let is_missing = |missing: &Arc<Slots>| slot.is_some_and(|slot| missing.contains(slot));
        if self.missing.as_ref().is_some_and(is_missing) { Err(not_connected()) } else { Ok(()) }
    }
}

fn not_connected() -> RedisError {
    io::Error::from(io::ErrorKind::NotConnected).into()
}

/// Returns how long to wait after this number of earlier failures.
pub(crate) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}
