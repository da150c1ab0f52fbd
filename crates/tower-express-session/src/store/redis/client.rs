//! The connection to Redis. It and its neighbours in this folder alone know the client crate.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use outage_log::Outage;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, PushInfo, PushKind, RedisError, Value};

use super::check::check;
use super::obstacle::{Obstacle, kind};
use super::reply::Reply;
use super::request::Request;
use super::source::{Connection, Source};
use super::url::Address;
use crate::error::{ConfigError, Error, ErrorKind};

/// How long a [`Client`] waits for Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to come about. Default: 500 ms.
    pub connect: Duration,
    /// For the answer to a command. Default: 250 ms.
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_millis(500), response: Duration::from_millis(250) }
    }
}

/// After a failed attempt to connect, commands fail at once for so long, rather than each of them
/// trying again; doubled with each further failure, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A cluster that moves slots says so instead of carrying a command out; it is asked again this
/// often, with a pause in between that lets the client learn where the slot is now.
const REDIRECTIONS: usize = 4;
const REDIRECTION_PAUSE: Duration = Duration::from_millis(20);

/// A connection to a Redis deployment, shared by all its clones and made again when it is lost.
///
/// A command is sent once and never again by itself: after an error the caller does not know
/// whether it was carried out, unless the error says so. Commands are answered within the
/// [`Timeouts`], with [`ErrorKind::Unavailable`] if need be.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    source: Source,
    address: Address,
    timeouts: Timeouts,
    shared: Shared,
    // Locked to take or replace the link, never across an await.
    link: Mutex<Option<Link>>,
    // Held while connecting, so that one task connects and the others wait for it.
    connecting: tokio::sync::Mutex<Attempts>,
}

/// Shared with clients of the same deployment that have connections of their own.
#[derive(Clone, Default)]
struct Shared {
    outage: Arc<Outage>,
    /// The key of the last write that was refused, for as long as writes are. Locked for single steps,
    /// never across an await.
    refused: Arc<Mutex<Option<Vec<u8>>>>,
}

#[derive(Default)]
struct Attempts {
    failures: u32,
    /// Until then, commands fail with this cause.
    pause: Option<(Instant, RedisError)>,
}

/// What commands go over.
#[derive(Clone)]
struct Link {
    connection: Connection,
    /// It is lost; the next command makes another. Shared by all clones of this link.
    lost: Arc<AtomicBool>,
}

/// A Lua script that runs inside Redis as one step.
pub struct Script {
    code: &'static str,
    sha1: String,
}

impl Client {
    /// Takes the address of a deployment; the connection is made when it is first needed.
    ///
    /// `redis://[user:password@]host:port[/db]`, `redis-sentinel://host:port,host:port/master[/db]`,
    /// `redis-cluster://host:port,host:port`; each with `rediss` instead of `redis` for TLS. As in the
    /// registered scheme, the database and the password may be parameters: `?db=2&password=p`.
    ///
    /// Sentinels are asked without a login, and with that of the master where they require one. If
    /// they have their own, it is `?sentinel_user=u&sentinel_password=p`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] when the address is not one of these.
    pub fn open(url: &str) -> Result<Self, ConfigError> {
        Self::with_timeouts(url, Timeouts::default())
    }

    /// Like [`open`](Self::open), with other time-outs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_timeouts(url: &str, timeouts: Timeouts) -> Result<Self, ConfigError> {
        Self::to(Address::parse(url)?, timeouts, Shared::default())
    }

    fn to(address: Address, timeouts: Timeouts, shared: Shared) -> Result<Self, ConfigError> {
        let source = Source::open(address.clone(), timeouts)?;
        let (link, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self(Arc::new(Inner { source, address, timeouts, shared, link, connecting })))
    }

    /// A client of the same deployment with a connection of its own, for commands that keep a
    /// connection busy. An outage that both see is logged once.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn apart(&self) -> Result<Self, ConfigError> {
        let Inner { address, timeouts, shared, .. } = &*self.0;
        Self::to(address.clone(), *timeouts, shared.clone())
    }

    /// Looks whether the deployment can be used, and finds out what is in the way: a wrong password,
    /// TLS on one side only, a replica, a sentinel. Uses short-lived connections of its own and writes
    /// nothing. Meant for the start of a program, and for diagnosis.
    ///
    /// # Errors
    ///
    /// What is in the way; of several servers of a cluster or sentinels, only if none can be used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn check(&self) -> Result<(), Obstacle> {
        check(&self.0.address, self.0.timeouts).await
    }

    /// Whether the keys are spread over several servers, so that commands without a key see only
    /// some of them.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.0.source, Source::Cluster(_))
    }

    /// Sends one command, its name and arguments as bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when Redis cannot be reached or does not answer in time;
    /// [`ErrorKind::Corrupt`] when a key holds another type; [`ErrorKind::Store`] for Redis's other
    /// errors.
    ///
    /// # Cancel safety
    ///
    /// A command whose future is dropped may still be carried out.
    pub async fn call(&self, words: &[&[u8]]) -> Result<Reply, Error> {
        self.call_command(&command(words)).await
    }

    pub(super) async fn call_command(&self, command: &Cmd) -> Result<Reply, Error> {
        self.send(&Request::One(command)).await.map_err(|cause| self.error(cause))
    }

    /// Sends a command to one server of a cluster.
    pub(super) async fn call_at(&self, command: Cmd, server: RoutingInfo) -> Result<Reply, Error> {
        let mut link = self.link().await.map_err(|cause| self.error(cause))?;
        let answer = match &mut link.connection {
            Connection::Server(connection) => connection.req_packed_command(&command).await,
            Connection::Cluster(connection) => connection.route_command(command, server).await,
        };
        answer.and_then(Value::extract_error).map(Reply::from).map_err(|cause| self.error(cause))
    }

    /// Sends several commands in one go and gives their answers in the same order. Others' commands
    /// may come in between. On a cluster all keys must lie in one slot.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), for the first command that failed; the others were carried out.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn pipeline(&self, commands: &[&[&[u8]]]) -> Result<Vec<Reply>, Error> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for words in commands {
            pipeline.add_command(command(words));
        }
        let sent = self.send(&Request::Several(&pipeline)).await;
        match sent.map_err(|cause| self.error(cause))? {
            Reply::Array(replies) => Ok(replies),
            other => Err(super::unexpected("a pipeline", &other)),
        }
    }

    /// Runs a script; sends its code only to a server that does not know it yet.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn run(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Reply, Error> {
        let count = keys.len().to_string();
        let invoke = |verb: &'static str, code: &str| {
            let mut words = vec![verb.as_bytes(), code.as_bytes(), count.as_bytes()];
            words.extend(keys);
            words.extend(arguments);
            command(&words)
        };
        match self.send(&Request::One(&invoke("EVALSHA", &script.sha1))).await {
            // The server refused it unread, so that sending it again runs it once.
            Err(cause) if cause.code() == Some("NOSCRIPT") => {
                self.send(&Request::One(&invoke("EVAL", script.code))).await
            }
            sent => sent,
        }
        .map_err(|cause| self.error(cause))
    }

    /// Says what the caller can do about it, and takes note of an outage.
    pub(super) fn error(&self, cause: RedisError) -> Error {
        let kind = kind(&cause);
        if kind != ErrorKind::Unavailable {
            return Error::new(kind, cause);
        }
        let client = Arc::downgrade(&self.0);
        self.0.shared.outage.failed(&Obstacle::from(&cause), move || {
            let client = client.upgrade().map(Self);
            async move {
                let Some(client) = client else { return false };
                client.ask().await;
                true
            }
        });
        Error::of_engine(kind, true, Some(cause.into()))
    }

    /// Asks Redis for what it failed to do, so that the answer tells whether the outage lasts: a server
    /// that refuses writes still answers all else.
    async fn ask(&self) {
        let refused = self.refused().clone();
        match refused {
            // What becomes of it has been noted.
            None => drop(self.call(&[b"PING"]).await),
            Some(key) => {
                // The key may be in use as another type. Redis says so only where it takes writes.
                let answer = self.try_write(&key).await;
                if answer.is_ok_and(|()| self.refused().as_ref() == Some(&key)) {
                    *self.refused() = None;
                }
            }
        }
    }

    /// Whether Redis takes a write of this key now. The write changes nothing, whatever the key holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when Redis cannot be reached, or refuses writes for now.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn try_write(&self, key: &[u8]) -> Result<(), Error> {
        match self.call(&[b"SETRANGE", key, b"0", b""]).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            // A string, another type, or a permission that is lacking: no outage.
            _ => {
                self.0.shared.outage.worked();
                Ok(())
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.shared.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &Request<'_>) -> Result<Reply, RedisError> {
        for _ in 0..REDIRECTIONS {
            match self.send_once(request).await {
                // The node refused the command unread, so that sending it again runs it once.
                Err(cause) if matches!(cause.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) => {
                    tokio::time::sleep(REDIRECTION_PAUSE).await;
                }
                sent => return sent,
            }
        }
        self.send_once(request).await
    }

    async fn send_once(&self, request: &Request<'_>) -> Result<Reply, RedisError> {
        let mut link = self.link().await?;
        let answer = match &mut link.connection {
            Connection::Server(connection) => request.send(connection).await,
            Connection::Cluster(connection) => request.send(connection).await,
        };
        let answer = answer.and_then(Value::extract_error).map(Reply::from);
        if answer.is_ok() {
            self.0.shared.outage.worked();
        }
        answer.inspect_err(|cause| {
            if Obstacle::from(cause).is_of_writes()
                && let Some(key) = request.key()
            {
                *self.refused() = Some(key.to_vec());
            }
            // A replica answers READONLY: the master has moved. After a time-out the server may be
            // unreachable without the connection's noticing.
            let moved = cause.code() == Some("READONLY");
            if cause.is_unrecoverable_error() || cause.is_timeout() || moved {
                link.lost.store(true, Ordering::Relaxed);
            }
        })
    }

    async fn link(&self) -> Result<Link, RedisError> {
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let mut attempts = self.0.connecting.lock().await;
        if let Some(link) = self.current() {
            return Ok(link); // Another task connected while this one waited.
        }
        if let Some((end, cause)) = &attempts.pause
            && Instant::now() < *end
        {
            return Err(cause.clone());
        }
        let timeouts = self.0.timeouts;
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        // A connection that was lost while nobody used it is not found out by the next command.
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Relaxed);
            }
        };
        match self.0.source.connect(timeouts, on_push).await {
            Ok(connection) => {
                let link = Link { connection, lost };
                *attempts = Attempts::default();
                *self.0.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
                Ok(link)
            }
            Err(cause) => {
                let end = Instant::now() + pause(attempts.failures);
                attempts.pause = Some((end, cause.clone()));
                attempts.failures += 1;
                tracing::debug!(redis.failures = attempts.failures, %cause, "cannot connect to Redis");
                Err(cause)
            }
        }
    }

    /// A connection of its own to the one server, which hears what the server says by itself.
    pub(super) async fn connect_apart(
        &self,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, RedisError> {
        match self.0.source.connect(self.0.timeouts, on_push).await? {
            Connection::Server(connection) => Ok(connection),
            Connection::Cluster(_) => {
                Err(std::io::Error::from(std::io::ErrorKind::Unsupported).into())
            }
        }
    }

    fn current(&self) -> Option<Link> {
        let link = self.0.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.as_ref().filter(|link| !link.lost.load(Ordering::Relaxed)).cloned()
    }
}

pub(super) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

pub(super) fn command(words: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}

impl Script {
    /// A script of this code.
    #[must_use]
    pub fn new(code: &'static str) -> Self {
        Self { code, sha1: redis::Script::new(code).get_hash().to_owned() }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.source.name()).finish()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.sha1).finish()
    }
}
