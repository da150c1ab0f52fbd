//! Finds the master through sentinels, and gives it up when they replace it.
//!
//! A sentinel that replaces a master promotes a replica first. The old master accepts writes for some
//! seconds more, and they are lost when it becomes a replica. So every sentinel is watched: the
//! connection is dropped just before the promotion, and none is opened until the sentinels name
//! another master.

mod switch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, ErrorKind, FromRedisValue as _, Pipeline, PushInfo, RedisError, Value,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::switch::{Event, Switch, View};
use crate::address::{SentinelAddress, info};
use crate::connector::open_server;
use crate::request::command;
use crate::timeouts::Timeouts;
use crate::tls;

/// How long to wait for other sentinels when one has answered. One that was cut off may name an old
/// master.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// The time between two questions to a watched sentinel, which find what its messages did not say.
const POLL: Duration = Duration::from_secs(1);

/// The same while a replica is being promoted.
const POLL_OF_PROMOTION: Duration = Duration::from_millis(50);

/// The sentinels of a master.
pub(crate) struct Sentinels {
    sentinels: Vec<Arc<Sentinel>>,
    address: SentinelAddress,
    switch: Arc<Switch>,
    /// The tasks that watch the sentinels, from the first connection on. Dropping it ends them.
    watchers: OnceLock<JoinSet<()>>,
}

struct Sentinel {
    master: String,
    /// One client for each login to try.
    clients: Vec<redis::Client>,
    /// The login that worked last.
    login: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn open(address: &SentinelAddress) -> Result<Self, RedisError> {
        let sentinels = address.sentinels.iter().map(|sentinel| {
            let clients = address.logins.iter().map(|login| {
                let refused = |_| RedisError::from((ErrorKind::InvalidClientConfig, "bad address"));
                open_server(info(sentinel.clone(), login).map_err(refused)?)
            });
            let (master, clients) = (address.master.clone(), clients.collect::<Result<_, _>>()?);
            Ok(Arc::new(Sentinel { master, clients, login: AtomicUsize::new(0) }))
        });
        Ok(Self {
            sentinels: sentinels.collect::<Result<_, RedisError>>()?,
            switch: Arc::new(Switch::new(address.sentinels.len())),
            address: address.clone(),
            watchers: OnceLock::new(),
        })
    }

    /// Returns a number that changes whenever connections to the master must be given up.
    pub(crate) fn generation(&self) -> u64 {
        self.switch.generation()
    }

    /// Waits until connections of this generation must be given up.
    pub(crate) async fn superseded(&self, generation: u64) {
        self.switch.superseded(generation).await;
    }

    /// Connects to the master.
    pub(crate) async fn connect_to_master(
        &self,
        config: &AsyncConnectionConfig,
        timeouts: Timeouts,
    ) -> Result<MultiplexedConnection, RedisError> {
        let replacing = |text| RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, text));
        if self.switch.is_promoting() {
            return Err(replacing("the sentinels are replacing the master"));
        }
        let view = self.ask_all(timeouts).await?;
        let master = tls::address(view.host.clone(), view.port, self.address.tls.as_ref());
        let refused = |_| replacing("the sentinels name a master with an invalid address");
        let master = open_server(info(master, &self.address.server).map_err(refused)?)?;
        let mut connection = master.get_multiplexed_async_connection_with_config(config).await?;
        let role = connection.req_packed_command(&command(&[b"ROLE"])).await?.extract_error();
        // An access control list may forbid ROLE.
        if let Ok(Value::Array(role)) = role
            && role.first() != Some(&Value::BulkString(b"master".to_vec()))
        {
            return Err(replacing("the sentinels name a master that is a replica"));
        }
        self.switch.connected(view);
        self.watchers.get_or_init(|| self.watch(timeouts));
        Ok(connection)
    }

    /// Asks all sentinels and returns the newest answer.
    async fn ask_all(&self, timeouts: Timeouts) -> Result<View, RedisError> {
        let mut asked = JoinSet::new();
        for sentinel in &self.sentinels {
            let sentinel = Arc::clone(sentinel);
            asked.spawn(async move {
                let mut connection = sentinel.connect(|_| {}, timeouts).await?;
                sentinel.ask(&mut connection).await
            });
        }
        let announced = self.switch.announced();
        let is_announced = |view: &View| {
            Some((&view.host, view.port)) == announced.as_ref().map(|(host, port)| (host, *port))
        };
        let rank = |view: &View| (view.epoch, is_announced(view));
        let (mut newest, mut failure) = (None::<View>, None);
        while let Some(answer) = match &newest {
            None => asked.join_next().await,
            Some(_) => timeout(STRAGGLERS, asked.join_next()).await.unwrap_or_default(),
        } {
            match answer {
                // If the epochs are equal or unknown, the last announcement decides.
                Ok(Ok(view)) if newest.as_ref().is_none_or(|newest| rank(newest) < rank(&view)) => {
                    newest = Some(view);
                }
                Ok(Err(cause)) => failure = Some(cause),
                _ => {}
            }
        }
        let nobody = || std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into();
        newest.ok_or_else(|| failure.unwrap_or_else(nobody))
    }

    fn watch(&self, timeouts: Timeouts) -> JoinSet<()> {
        let watched = self.sentinels.iter().enumerate().map(|(number, sentinel)| {
            let (sentinel, switch) = (Arc::clone(sentinel), Arc::clone(&self.switch));
            async move {
                loop {
                    if let Err(cause) = sentinel.watch(number, &switch, timeouts).await {
                        tracing::debug!(%cause, "cannot watch a sentinel");
                    }
                    switch.lost(number);
                    sleep(POLL).await;
                }
            }
        });
        watched.collect()
    }
}

impl Sentinel {
    /// Connects with the first login that the sentinel accepts.
    async fn connect(
        &self,
        on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
        timeouts: Timeouts,
    ) -> Result<MultiplexedConnection, RedisError> {
        let (count, last) = (self.clients.len(), self.login.load(Ordering::Relaxed));
        let mut failure = None;
        for at in (last..count).chain(0..last) {
            let on_push = on_push.clone();
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(timeouts.connect))
                .set_response_timeout(Some(timeouts.response))
                .set_push_sender(move |push| {
                    on_push(push);
                    Ok::<(), redis::aio::SendError>(())
                });
            match self.clients[at].get_multiplexed_async_connection_with_config(&config).await {
                Ok(connection) => {
                    self.login.store(at, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(cause) => failure = Some(cause),
            }
        }
        Err(failure.expect("there is at least one login, which may be empty"))
    }

    /// Asks which server is the master.
    async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<View, RedisError> {
        let master = self.master.as_bytes();
        let mut questions = Pipeline::new();
        questions.add_command(command(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", master]));
        questions.add_command(command(&[b"SENTINEL", b"MASTER", master]));
        let answers = connection.req_packed_commands(&questions, 0, 2).await?;
        let [address, facts] = <[Value; 2]>::try_from(answers)
            .map_err(|_| RedisError::from((ErrorKind::UnexpectedReturnType, "two answers")))?;
        let Some((host, port)) = Option::<(String, u16)>::from_redis_value(address)? else {
            let text = "the sentinels know no master with this name";
            return Err((ErrorKind::MasterNameNotFoundBySentinel, text).into());
        };
        // An access control list may forbid the second question.
        let facts = HashMap::<String, String>::from_redis_value(facts).unwrap_or_default();
        let epoch = facts.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
        Ok(View { epoch, host, port })
    }

    /// Tells the switch what this sentinel, which has this number, does, until the connection to it fails.
    async fn watch(
        &self,
        number: usize,
        switch: &Arc<Switch>,
        timeouts: Timeouts,
    ) -> Result<(), RedisError> {
        let news = Arc::new(Notify::new());
        let (told, listener) = (Arc::clone(switch), Arc::clone(&news));
        let master = self.master.clone();
        let on_push = move |push: PushInfo| {
            if let Some(event) = Event::of(&push, &master) {
                told.notice(event);
                listener.notify_one();
            }
        };
        let mut connection = self.connect(on_push, timeouts).await?;
        // The answers alone still show a new master, within a second, if they have its epoch.
        if let Err(cause) = connection.subscribe(&switch::CHANNELS).await {
            tracing::warn!(%cause, "a sentinel does not report fail-overs, so they are noticed later");
        }
        loop {
            switch.learn(number, self.ask(&mut connection).await?);
            let poll = if switch.is_waiting() { POLL_OF_PROMOTION } else { POLL };
            let _ = timeout(poll, news.notified()).await;
        }
    }
}
