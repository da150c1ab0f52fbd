//! Writes that are acknowledged when replicas have them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outage_log::Outage;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::keys::{companion_key, key_in};
use crate::obstacle::Obstacle;
use crate::reply::Reply;
use crate::request::{Request, borrowed};
use crate::scan::Primaries;
use crate::script::Script;

/// How long the mark of a write is kept. Only its replication matters.
const MARK_MS: &[u8] = b"1000";

/// Writes to a [`Client`]'s deployment, which return when replicas have them; see
/// [`Client::replicated`].
#[derive(Clone)]
pub struct Replicated(Arc<Inner>);

/// The servers that accept writes at one moment; see [`Replicated::topology`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The primaries of a cluster, if writes wait for replicas.
    primaries: Primaries,
    /// Another number after the sentinels have replaced the master.
    generation: u64,
}

struct Inner {
    client: Client,
    /// `None` does not wait.
    waits: Option<Waits>,
    outage: Arc<Outage>,
    /// The last write had too few replicas, so that the next one is not tried before a probe succeeds.
    is_short: AtomicBool,
}

struct Waits {
    replicas: u32,
    within: Duration,
}

impl Client {
    /// Returns a handle whose writes return only when `replicas` replicas have acknowledged them. If
    /// fewer have done so `within` this time (Redis's `WAIT`), a write fails with
    /// [`ErrorKind::Unavailable`], although it stays on the primary.
    ///
    /// Waiting blocks a connection, so the handle has one of its own, and the time must be shorter than
    /// the time limit of a command. With 0 replicas it does not wait, and uses the connection of the
    /// client.
    ///
    /// After such a failure, writes fail at once and write nothing until a probe shows that there are
    /// enough replicas again. On a cluster each primary has its own replicas, so there every write is
    /// tried.
    ///
    /// A write is covered together with everything that was written before it, also by other clients: a
    /// script that finds that nothing is left to write still returns only when the replicas have what it
    /// found. On a cluster, the replicas of the key's primary count.
    ///
    /// ```no_run
    /// # async fn example(client: redis_link::Client) -> Result<(), redis_link::Error> {
    /// use std::time::Duration;
    ///
    /// let writes = client.replicated(1, Duration::from_millis(150))?;
    /// writes.pipeline(&[&[b"SET", b"greeting", b"hello"]]).await?; // survives the loss of the primary
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a client made by [`from_connection`](Self::from_connection), unless
    /// `replicas` is 0.
    pub fn replicated(&self, replicas: u32, within: Duration) -> Result<Replicated, Error> {
        let waits = (replicas > 0).then_some(Waits { replicas, within });
        let client = match waits {
            Some(_) => self.dedicated()?,
            None => self.clone(),
        };
        let (outage, is_short) = (Arc::default(), AtomicBool::new(false));
        Ok(Replicated(Arc::new(Inner { client, waits, outage, is_short })))
    }
}

impl Client {
    /// Sends several commands at once, and waits with another one for what they wrote, all on one
    /// connection. Returns the replies as in [`Request::outcome`].
    async fn pipeline_awaited(
        &self,
        commands: &[&[&[u8]]],
        wait: &[&[u8]],
    ) -> Result<Vec<Reply>, Error> {
        self.replies(self.send(&Request::Awaited(commands, wait)).await)
    }
}

impl Replicated {
    /// Returns whether the handle waits for replicas.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.waits.is_some()
    }

    /// Runs a script that has at least one key, as [`Client::run`].
    ///
    /// # Errors
    ///
    /// As [`Client::run`]; also [`ErrorKind::Unavailable`] if too few replicas have the write.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::call`].
    pub async fn run(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Reply, Error> {
        let Inner { client, waits, .. } = &*self.0;
        let Some(waits) = waits else { return client.run(script, keys, arguments).await };
        let key = keys.first().copied().unwrap_or_default();
        self.has_enough(key)?;
        let (mark, wait) = waits.commands(key);
        let (mark, wait) = (borrowed(&mark), borrowed(&wait));
        let sent = client.invoke((script, keys, arguments), Some((&mark, &wait))).await;
        self.counted(waits, key, client.replies(sent)?)?
            .into_iter()
            .next()
            .ok_or_else(|| no_reply("a script"))
    }

    /// Sends several commands at once, as [`Client::pipeline`]. The first one must have a key as its
    /// first argument.
    ///
    /// # Errors
    ///
    /// As [`Client::pipeline`]; also [`ErrorKind::Unavailable`] if too few replicas have the writes.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::call`].
    pub async fn pipeline(&self, commands: &[&[&[u8]]]) -> Result<Vec<Reply>, Error> {
        let Inner { client, waits, .. } = &*self.0;
        let Some(waits) = waits else { return client.pipeline(commands).await };
        let key = commands.first().and_then(|command| command.get(1)).copied().unwrap_or_default();
        self.has_enough(key)?;
        self.write(waits, key, commands).await
    }

    async fn write(
        &self,
        waits: &Waits,
        key: &[u8],
        commands: &[&[&[u8]]],
    ) -> Result<Vec<Reply>, Error> {
        let (mark, wait) = waits.commands(key);
        let mark = borrowed(&mark);
        let commands = [commands, &[&mark]].concat();
        let replies = self.0.client.pipeline_awaited(&commands, &borrowed(&wait)).await?;
        self.counted(waits, key, replies)
    }

    /// Fails if there were too few replicas a moment ago.
    fn has_enough(&self, key: &[u8]) -> Result<(), Error> {
        let is_short = self.0.is_short.load(Ordering::Relaxed) && !self.0.client.is_cluster();
        if is_short { Err(self.too_few(key, &Obstacle::TooFewReplicas)) } else { Ok(()) }
    }

    /// Returns the servers that accept writes at present, for [`everywhere`](Self::everywhere). It asks a cluster, if
    /// the handle waits for replicas; otherwise it sends nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn topology(&self) -> Result<Topology, Error> {
        let Inner { client, waits, .. } = &*self.0;
        let generation = client.links().connector.generation();
        let primaries = match waits {
            Some(_) if client.is_cluster() => client.primaries().await?,
            _ => Primaries::default(),
        };
        Ok(Topology { primaries, generation })
    }

    /// Waits until enough replicas of each primary of a cluster have everything that was written before,
    /// through whichever client. The marks begin with `prefix`, which must have no braces.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); also [`ErrorKind::Unavailable`] if the primaries, or the master that sentinels watch, are
    /// not those of `before`, because then a new one may lack what was written to the old one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time.
    pub async fn everywhere(&self, before: &Topology, prefix: &str) -> Result<(), Error> {
        for slot in before.primaries.values() {
            self.pipeline(&[&[b"EXISTS", key_in(*slot, prefix).as_bytes()]]).await?;
        }
        if self.topology().await? == *before {
            return Ok(());
        }
        let is_cluster = self.0.client.is_cluster();
        let cause = if is_cluster { Obstacle::ClusterDown } else { Obstacle::MasterDown };
        Err(Error::new(ErrorKind::Unavailable, cause))
    }

    /// Returns the replies to the commands if enough replicas have their writes.
    fn counted(&self, waits: &Waits, key: &[u8], replies: Vec<Reply>) -> Result<Vec<Reply>, Error> {
        let [Reply::Array(replies), Reply::Array(mut waited)] =
            <[Reply; 2]>::try_from(replies).map_err(|_| no_reply("WAIT"))?
        else {
            return Err(no_reply("WAIT"));
        };
        let mut cause = Obstacle::TooFewReplicas.to_string();
        match waited.pop() {
            Some(Reply::Int(found)) if found >= i64::from(waits.replicas) => {
                self.0.is_short.store(false, Ordering::Relaxed);
                self.0.outage.worked();
                return Ok(replies);
            }
            Some(Reply::Bytes(failed)) => {
                cause = format!("cannot wait for replicas: {}", String::from_utf8_lossy(&failed));
            }
            _ => {}
        }
        self.0.is_short.store(true, Ordering::Relaxed);
        Err(self.too_few(key, &cause))
    }

    /// Logs an outage, which lasts until enough replicas have a later write, and returns its error.
    fn too_few(&self, key: &[u8], cause: &dyn fmt::Display) -> Error {
        let (inner, key) = (Arc::downgrade(&self.0), key.to_vec());
        self.0.outage.failed(cause, move || {
            let (writes, key) = (inner.upgrade().map(Self), key.clone());
            async move {
                let Some(writes) = writes else { return false };
                if let Some(waits) = &writes.0.waits {
                    // It reports its result to the outage log.
                    drop(writes.write(waits, &key, &[&[b"EXISTS", &key]]).await);
                }
                true
            }
        });
        Error::new(ErrorKind::Unavailable, Obstacle::TooFewReplicas).logged()
    }
}

impl Waits {
    /// Returns a write in the slot of the key, and the command that waits for it. Redis counts the
    /// replicas that have the last write of this connection, so there must be one.
    fn commands(&self, key: &[u8]) -> ([Vec<u8>; 4], [Vec<u8>; 3]) {
        let mark = companion_key(&String::from_utf8_lossy(key), "replicated").into_bytes();
        let milliseconds = self.within.as_millis().max(1).to_string();
        let wait = [b"WAIT".into(), self.replicas.to_string().into(), milliseconds.into()];
        ([b"PSETEX".into(), mark, MARK_MS.into(), b"1".into()], wait)
    }
}

fn no_reply(command: &str) -> Error {
    Error::unexpected(command, &Reply::Nil)
}

impl fmt::Debug for Replicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = self.0.waits.as_ref().map_or(0, |waits| waits.replicas);
        f.debug_struct("Replicated").field("replicas", &replicas).finish_non_exhaustive()
    }
}
