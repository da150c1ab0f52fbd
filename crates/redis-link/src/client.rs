//! Commands, pipelines and scripts over one connection.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outage_log::Outage;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError};

use crate::address::Address;
use crate::cause::kind;
use crate::check::check;
use crate::connection::{Connection, Own};
use crate::error::{Error, ErrorKind};
use crate::link::Links;
use crate::obstacle::Obstacle;
use crate::reply::Reply;
use crate::request::{Request, command};
use crate::script::Script;
use crate::source::Source;
use crate::timeouts::Timeouts;

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
    /// `None` for a connection of the caller's own.
    address: Option<Address>,
    links: Links,
    shared: Shared,
}

/// Shared with clients of the same deployment that have connections of their own.
#[derive(Clone, Default)]
struct Shared {
    outage: Arc<Outage>,
    /// The key of the last write that was refused, for as long as writes are. Locked for single steps,
    /// never across an await.
    refused: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Client {
    /// Takes the address of a deployment, as [`Address`] reads it; the connection is made when it is
    /// first needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Address`] when the address is not one of these; [`ErrorKind::Unsupported`] when it
    /// needs a feature that is off, or TLS without a [crypto provider](crate#tls).
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::with_timeouts(url, Timeouts::default())
    }

    /// Like [`open`](Self::open), with other time-outs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_timeouts(url: &str, timeouts: Timeouts) -> Result<Self, Error> {
        Self::to(url.parse()?, timeouts, Shared::default())
    }

    /// Takes a connection that the program has already: a [`MultiplexedConnection`], a
    /// `ConnectionManager`, or another of redis-rs. `response` is the longest that a command takes.
    ///
    /// What only a client with an address has is missing: a lost connection is not made again, unless
    /// the connection does so itself; [`track`](Self::track) and [`apart`](Self::apart) are
    /// [`ErrorKind::Unsupported`]; [`check`](Self::check) asks nothing but `PING`. How long connecting
    /// takes is up to the connection, within `response`. A connection to a cluster goes into
    /// `from_cluster_connection` instead.
    ///
    /// [`MultiplexedConnection`]: redis::aio::MultiplexedConnection
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use redis_link::{Client, redis};
    ///
    /// let server = redis::Client::open("redis://127.0.0.1:6379")?;
    /// let connection = server.get_multiplexed_async_connection().await?;
    /// let client = Client::from_connection(connection, Duration::from_millis(250));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_connection<C>(connection: C, response: Duration) -> Self
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::over(Connection::Own(Own::new(connection, response)))
    }

    /// Takes a connection to a cluster that the program has already; else as
    /// [`from_connection`](Self::from_connection), with the connection's own time-outs.
    #[cfg(feature = "cluster")]
    #[must_use]
    pub fn from_cluster_connection(connection: redis::cluster_async::ClusterConnection) -> Self {
        Self::over(Connection::Cluster(connection))
    }

    fn over(connection: Connection) -> Self {
        let links = Links::new(Source::Own(connection), Timeouts::default());
        Self(Arc::new(Inner { address: None, links, shared: Shared::default() }))
    }

    fn to(address: Address, timeouts: Timeouts, shared: Shared) -> Result<Self, Error> {
        let links = Links::new(Source::open(address.clone(), timeouts)?, timeouts);
        Ok(Self(Arc::new(Inner { address: Some(address), links, shared })))
    }

    /// A client of the same deployment with a connection of its own, for commands that keep a
    /// connection busy. An outage that both see is logged once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a client of a [connection](Self::from_connection) of the
    /// caller's own.
    pub fn apart(&self) -> Result<Self, Error> {
        let Inner { address, links, shared } = &*self.0;
        let address = address.clone().ok_or_else(Error::has_no_address)?;
        Self::to(address, links.timeouts, shared.clone())
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
        match &self.0.address {
            Some(address) => check(&address.0, self.0.links.timeouts).await,
            None => {
                let answer = self.send(&Request::One(&command(&[b"PING"]))).await;
                answer.map(drop).map_err(|cause| Obstacle::from(&cause))
            }
        }
    }

    /// Whether the keys are spread over several servers, so that commands without a key see only
    /// some of them.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.links().source.is_cluster()
    }

    /// Sends one command, its name and arguments as bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when Redis cannot be reached or does not answer in time;
    /// [`ErrorKind::WrongType`] when a key holds another type; [`ErrorKind::Server`] for Redis's other
    /// errors.
    ///
    /// # Cancel safety
    ///
    /// A command whose future is dropped may still be carried out.
    pub async fn call(&self, words: &[&[u8]]) -> Result<Reply, Error> {
        self.call_command(&command(words)).await
    }

    pub(crate) async fn call_command(&self, command: &Cmd) -> Result<Reply, Error> {
        self.send(&Request::One(command)).await.map_err(|cause| self.error(cause))
    }

    /// Sends a command to the primary of a slot of a cluster.
    pub(crate) async fn call_at(&self, command: Cmd, slot: u16) -> Result<Reply, Error> {
        let answer = match self.links().get().await {
            Ok(mut link) => link.send_to(command, slot).await,
            Err(cause) => Err(cause),
        };
        answer.map_err(|cause| self.error(cause))
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
            other => Err(Error::unexpected("a pipeline", &other)),
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
    fn error(&self, cause: RedisError) -> Error {
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
        Error::new(kind, cause).logged()
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
        let answer = self.links().get().await?.send(request).await;
        if answer.is_ok() {
            self.0.shared.outage.worked();
        }
        answer.inspect_err(|cause| {
            if Obstacle::from(cause).is_of_writes()
                && let Some(key) = request.key()
            {
                *self.refused() = Some(key.to_vec());
            }
        })
    }

    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.links().source.name()).finish()
    }
}
