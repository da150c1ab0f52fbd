//! Commands, pipelines and scripts over one connection.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outage_log::Outage;
use redis::RedisError;
use redis::aio::ConnectionLike;
use tokio::time::Instant;

use crate::address::Address;
use crate::cause::kind;
use crate::check::check;
use crate::connection::{Connection, Own};
use crate::connector::Connector;
use crate::error::{Error, ErrorKind};
use crate::link::Links;
use crate::observer::Observer;
use crate::obstacle::Obstacle;
use crate::reply::Reply;
use crate::request::{Request, Words, invocation};
use crate::script::Script;
use crate::timeouts::Timeouts;
use crate::together::Together;

/// How often a command is sent again to a cluster that is moving its slot and refuses the command.
/// The pause between two attempts gives the client time to learn the new place of the slot.
const REDIRECTIONS: usize = 4;
const REDIRECTION_PAUSE: Duration = Duration::from_millis(20);

/// A connection to a Redis deployment, shared by all its clones and replaced when it is lost.
///
/// A command is sent once and never repeated automatically. After [`ErrorKind::Unavailable`] the
/// command may or may not have been carried out. Commands return within the [`Timeouts`], if
/// necessary with [`ErrorKind::Unavailable`].
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    /// `None` for a connection that the caller made.
    address: Option<Address>,
    links: Arc<Links>,
    shared: ClientState,
    /// The client of the cluster, for a client of one of its servers.
    cluster: Option<Client>,
}

/// State shared with the [dedicated](Client::dedicated) clients of the same deployment.
#[derive(Clone, Default)]
struct ClientState {
    outage: Arc<Outage>,
    /// The key of the last write that Redis refused, until it accepts writes again. Locked for a
    /// few instructions, never across an await.
    refused: Arc<Mutex<Option<Vec<u8>>>>,
    observer: Observer,
    /// Whether the program itself logs what Redis denies to the login.
    denials_are_logged: Arc<AtomicBool>,
}

impl Client {
    /// Creates a client for the deployment at `url`, in the format of [`Address`]. It connects when
    /// the first command is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Address`] if the address is not valid; [`ErrorKind::Unsupported`] if it needs a
    /// feature that is not enabled, or TLS and no [crypto provider](crate#tls) is installed.
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::with_timeouts(url, Timeouts::default())
    }

    /// Like [`open`](Self::open), with other time-outs.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_timeouts(url: &str, timeouts: Timeouts) -> Result<Self, Error> {
        Self::at(url.parse()?, timeouts)
    }

    /// Creates a client for an address that has been parsed, without reading the files that it names again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn at(address: Address, timeouts: Timeouts) -> Result<Self, Error> {
        let connector = Arc::new(Connector::open(address.clone(), timeouts)?);
        Ok(Self::on(Some(address), connector, timeouts, ClientState::default()))
    }

    /// Creates a client from a connection of redis-rs that the program already has, such as a
    /// [`MultiplexedConnection`] or a `ConnectionManager`. `response` is the time limit of a
    /// command.
    ///
    /// Such a client has no address, so some features are missing: a lost connection is not
    /// replaced, unless the connection does so itself; [`track`](Self::track) and
    /// [`dedicated`](Self::dedicated) return [`ErrorKind::Unsupported`]; [`check`](Self::check)
    /// only sends a `PING`. If the connection reconnects, that time counts towards `response`. For
    /// a connection to a cluster use `from_cluster_connection`.
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

    /// Creates a client from a connection to a cluster that the program already has. Otherwise like
    /// [`from_connection`](Self::from_connection), with the connection's own time-outs.
    #[cfg(feature = "cluster")]
    #[must_use]
    pub fn from_cluster_connection(connection: redis::cluster_async::ClusterConnection) -> Self {
        Self::over(Connection::Cluster(connection))
    }

    fn over(connection: Connection) -> Self {
        let connector = Arc::new(Connector::Own(connection));
        Self::on(None, connector, Timeouts::default(), ClientState::default())
    }

    fn on(
        address: Option<Address>,
        connector: Arc<Connector>,
        timeouts: Timeouts,
        shared: ClientState,
    ) -> Self {
        let links = Arc::new(Links::new(connector, timeouts, shared.observer.clone()));
        Self(Arc::new(Inner { address, links, shared, cluster: None }))
    }

    /// Returns a client of one server of this cluster. The caller repeats what it refuses.
    pub(crate) fn reader(&self, connection: Together) -> Self {
        let connector = Arc::new(Connector::Own(Connection::Server(connection)));
        let links = Links::new(connector, self.links().timeouts, Observer::default());
        let (shared, cluster) = (self.0.shared.clone(), Some(self.clone()));
        Self(Arc::new(Inner { address: None, links: Arc::new(links), shared, cluster }))
    }

    pub(crate) fn address(&self) -> Option<&Address> {
        self.0.address.as_ref()
    }

    /// Returns a client of the same deployment with a dedicated connection, for commands that block
    /// a connection. If an outage affects both clients, it is logged once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a client made by [`from_connection`](Self::from_connection).
    pub fn dedicated(&self) -> Result<Self, Error> {
        let Inner { address, links, shared, .. } = &*self.0;
        let address = address.clone().ok_or_else(Error::has_no_address)?;
        let connector = Arc::clone(&links.connector);
        Ok(Self::on(Some(address), connector, links.timeouts, shared.clone()))
    }

    /// From now on, errors by which Redis denies the login a command or a key count as
    /// [logged](Error::is_logged): those of this client, its clones and its
    /// [dedicated](Self::dedicated) clients. This is for a program that [observes](Self::observe)
    /// [`Failure::Denied`](crate::Failure::Denied) and then logs what the login lacks, once for all
    /// requests that fail.
    pub fn leave_denials_to_observer(&self) {
        self.0.shared.denials_are_logged.store(true, Ordering::Relaxed);
    }

    /// Checks whether the deployment can be used, and if not, why: a wrong password, TLS on one
    /// side only, a replica, a sentinel. It uses short-lived connections of its own and writes
    /// nothing. On a cluster it also connects, so that the next command finds the connection. It is meant for the start of a program and for diagnosis.
    ///
    /// # Errors
    ///
    /// The [`Obstacle`] that was found. If the address names several sentinels or cluster nodes,
    /// one that can be used is enough.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn check(&self) -> Result<(), Obstacle> {
        match &self.0.address {
            Some(address) => check(&address.deployment, self.links()).await,
            None => {
                let answer = self.send(&Request::One(&[b"PING"])).await;
                answer.map(drop).map_err(|cause| Obstacle::from(&cause))
            }
        }
    }

    /// Returns whether the client is connected to a cluster, where commands without a key see only
    /// some of the keys.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.links().connector.is_cluster()
    }

    /// Sends one command, given as its name and its arguments.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if Redis cannot be reached, does not answer in time or cannot
    /// serve the command now; [`ErrorKind::WrongType`] if a key holds another type;
    /// [`ErrorKind::Server`] for the other errors of Redis.
    ///
    /// # Cancel safety
    ///
    /// A command whose future is dropped may still be carried out.
    pub async fn call(&self, words: &[&[u8]]) -> Result<Reply, Error> {
        self.send(&Request::One(words)).await.map_err(|cause| self.error(cause))
    }

    /// Sends a command to the primary of a slot of a cluster.
    pub(crate) async fn call_at(&self, words: Words<'_>, slot: u16) -> Result<Reply, Error> {
        let request = Request::One(words);
        let started = self.observer().started(request.operation(), 1);
        let answer = async { self.links().get().await?.send_to(words, slot).await };
        let answer = self.within_time_since(started.began, answer).await;
        started.answered(answer).map_err(|cause| self.error(cause))
    }

    /// Sends several commands at once and returns their replies in the same order. Commands of
    /// other tasks may run in between. On a cluster all keys must be in one slot, and the commands are a
    /// transaction.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), for the first command that failed. The other commands were carried
    /// out.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn pipeline(&self, commands: &[&[&[u8]]]) -> Result<Vec<Reply>, Error> {
        self.replies(self.send(&Request::Several(commands)).await)
    }

    /// Runs a script. Its code is sent only to a server that does not have it yet.
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
        let answer = self.invoke((script, keys, arguments), None).await;
        answer.map_err(|cause| self.error(cause))
    }

    /// Runs a script, and with it the commands of [`Request::Awaited`] if there are any.
    ///
    /// If it runs several times at the same moment on a server that does not have it, one of the runs sends the code and the
    /// others wait until the server has it: on a slow network, the code of all of them would not arrive in time. On a
    /// cluster, the runs for other servers that do not have it wait, too, and then each sends the code.
    pub(crate) async fn invoke(
        &self,
        (script, keys, arguments): (&Script, &[&[u8]], &[&[u8]]),
        awaited: Option<(Words<'_>, Words<'_>)>,
    ) -> Result<Reply, RedisError> {
        let count = keys.len().to_string();
        let started = self.observer().started(script.name, awaited.map_or(1, |_| 3));
        let began = started.began;
        let send = async |script| {
            let run = invocation(script, &count, keys, arguments);
            match awaited {
                None => self.redirected(&Request::One(&run), began).await,
                Some((after, wait)) => {
                    self.redirected(&Request::Awaited(&[&run, after], wait), began).await
                }
            }
        };
        let answer = match send(("EVALSHA", &script.sha1)).await {
            // The server did not run it, so sending it again runs it only once.
            Err(cause) if is_unknown(&cause) => {
                // Few requests come here, so the others have no room for it.
                let sent = Box::pin(async {
                    let turn = script.sending.try_lock();
                    if turn.is_err() {
                        drop(script.sending.lock().await);
                        // On a cluster, another server may have it now.
                        match send(("EVALSHA", &script.sha1)).await {
                            Err(cause) if is_unknown(&cause) => {}
                            sent => return sent,
                        }
                    }
                    send(("EVAL", script.code)).await
                });
                self.within_time_since(began, sent).await
            }
            sent => sent,
        };
        started.answered(answer)
    }

    /// Returns the replies to a pipeline.
    pub(crate) fn replies(&self, sent: Result<Reply, RedisError>) -> Result<Vec<Reply>, Error> {
        match sent.map_err(|cause| self.error(cause))? {
            Reply::Array(replies) => Ok(replies),
            other => Err(Error::unexpected("a pipeline", &other)),
        }
    }

    /// Converts an error, and reports an outage to the outage log.
    pub(crate) fn error(&self, cause: RedisError) -> Error {
        let kind = kind(&cause);
        let is_repeated = self.0.cluster.is_some() && !cause.is_timeout();
        if kind != ErrorKind::Unavailable || is_repeated {
            let is_logged = Obstacle::from(&cause) == Obstacle::NoPermission
                && self.0.shared.denials_are_logged.load(Ordering::Relaxed);
            let error = Error::new(kind, cause);
            return if is_logged { error.logged() } else { error };
        }
        let client = Arc::downgrade(&self.0.cluster.as_ref().unwrap_or(self).0);
        self.0.shared.outage.failed(&Obstacle::from(&cause), move || {
            let client = client.upgrade().map(Self);
            async move {
                let Some(client) = client else { return false };
                client.probe().await;
                true
            }
        });
        Error::new(kind, cause).logged()
    }

    /// Probes during an outage: repeats the kind of operation that failed. A server that refuses
    /// writes still answers reads, so only a write shows whether the outage is over.
    async fn probe(&self) {
        let refused = self.refused().clone();
        match refused {
            // `call` reports the result to the outage log.
            None => drop(self.call(&[b"PING"]).await),
            Some(key) => {
                // The key may hold another type. Redis reports that only while it accepts writes.
                let answer = self.try_write(&key).await;
                if answer.is_ok_and(|()| self.refused().as_ref() == Some(&key)) {
                    *self.refused() = None;
                }
            }
        }
    }

    /// Tests whether Redis accepts a write to this key now. The write changes nothing, whatever the
    /// key holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if Redis cannot be reached or refuses writes at the moment.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn try_write(&self, key: &[u8]) -> Result<(), Error> {
        match self.call(&[b"SETRANGE", key, b"0", b""]).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            // A success, another type or a missing permission: this is not an outage.
            _ => {
                self.0.shared.outage.worked();
                Ok(())
            }
        }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.shared.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Reply, RedisError> {
        let started = self.observer().started(request.operation(), request.count());
        let answer = self.redirected(request, started.began).await;
        started.answered(answer)
    }

    /// Sends a request that began at this moment, and follows its slot if it moves.
    pub(crate) async fn redirected(
        &self,
        request: &Request<'_>,
        began: Instant,
    ) -> Result<Reply, RedisError> {
        match self.send_once(request).await {
            Err(cause) if is_redirection(&cause) && self.0.cluster.is_none() => {
                self.within_time_since(began, self.redirect(request, cause)).await
            }
            sent => sent,
        }
    }

    /// Returns the rest of an answer, if it is there within the time of a command, which began at this moment.
    pub(crate) async fn within_time_since(
        &self,
        began: Instant,
        answer: impl Future<Output = Result<Reply, RedisError>>,
    ) -> Result<Reply, RedisError> {
        let end = began + self.links().timeouts.response;
        // Few requests have such a rest, so the others have no room for it.
        let answer = tokio::time::timeout_at(end, Box::pin(answer)).await;
        answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Sends a request again that a node refused because its slot is elsewhere. In each case the node
    /// did not run it, so sending it again runs it only once.
    async fn redirect(
        &self,
        request: &Request<'_>,
        mut refusal: RedisError,
    ) -> Result<Reply, RedisError> {
        for _ in 0..REDIRECTIONS {
            if refusal.code() == Some("ASK") {
                match self.ask(request, &refusal).await {
                    Err(cause) if is_redirection(&cause) => {}
                    sent => return sent,
                }
            }
            tokio::time::sleep(REDIRECTION_PAUSE).await;
            match self.send_once(request).await {
                Err(cause) if is_redirection(&cause) => refusal = cause,
                sent => return sent,
            }
        }
        Err(refusal)
    }

    /// Sends a request to the node that gets the slot and has its keys already.
    async fn ask(&self, request: &Request<'_>, cause: &RedisError) -> Result<Reply, RedisError> {
        let Some((node, _)) = cause.redirect_node() else { return Err(cause.clone()) };
        match self.links().get().await?.ask(request, node).await {
            // The client does not know a node that has no slot yet.
            Err(unknown) if unknown.kind() == redis::ErrorKind::ClusterConnectionNotFound => {
                Err(cause.clone())
            }
            sent => sent,
        }
    }

    async fn send_once(&self, request: &Request<'_>) -> Result<Reply, RedisError> {
        let answer = match self.links().current() {
            Some(mut link) => link.send(request).await,
            None => {
                let send = async { self.links().get().await?.send(request).await };
                self.within_time_since(Instant::now(), send).await
            }
        };
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

    pub(crate) fn observer(&self) -> &Observer {
        &self.0.shared.observer
    }

    pub(crate) fn links(&self) -> &Arc<Links> {
        &self.0.links
    }
}

/// Returns whether the server does not have a script.
fn is_unknown(cause: &RedisError) -> bool {
    cause.code() == Some("NOSCRIPT")
}

/// Returns whether a node refused a command because its slot is elsewhere.
fn is_redirection(cause: &RedisError) -> bool {
    matches!(cause.code(), Some("MOVED" | "ASK" | "TRYAGAIN"))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.links().connector.name()).finish()
    }
}
