//! The composition root: turns settings into services. The backends are named only here and in its parts.

mod account_findings;
mod backend;
mod diagnosis;
mod embedded;
mod observe;
mod ports;
mod session_stores;
mod start;
mod watched;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower_express_session::accounts::Revoked;
use tower_express_session::store::AccountStore;
use tower_express_session::store::encrypted::EncryptionKeys;
use tower_express_session::{AccountSessions, Secrets, SessionLayer, SessionLayerBuilder};

use self::backend::Backend;
use self::start::Denials;
use crate::config::{Common, StoreUrl};
use crate::http::{
    ClientLimits, Cors, Edge, Metrics, OnFailure, Proxies, Readiness, StrictTransport,
    session_failed,
};
use crate::lifecycle::Doors;
use crate::metrics::{ProcessMetrics, Registries};
use crate::session_secret;
use crate::signals::Stop;
use crate::slow_store::SlowStore;
use crate::storage::{Credentials, Finding, NewEpoch, ServiceKind, Storage, StorageError};
use crate::traces::Endpoint;
use crate::usecases::accounts::{COOKIE, account_options};
use crate::usecases::demo_account::DemoAccount;
use crate::usecases::event_retention;
use crate::usecases::revocation::{Revocation, SearchError};
use crate::usecases::security_log::SecurityLog;
use crate::usecases::tasks::Tasks;

pub(crate) use self::diagnosis::OPEN_OPERATOR;
pub use self::diagnosis::diagnose;
pub(crate) use self::embedded::Draft;
pub use self::embedded::{Copied, back_up, must_exist, restore};
use self::observe::TracesCell;
pub use self::ports::Service;
use self::session_stores::Form;
pub use self::session_stores::{OutOfReach, out_of_reach};
pub(crate) use self::watched::WatchedStore;

/// The maximum time that work after a response may take when the services have stopped.
const FINISH: Duration = Duration::from_secs(5);

/// The session layer of a service, before it is known which metrics count its events.
type Sessions = SessionLayerBuilder<Arc<dyn AccountStore>, OnFailure>;

/// The parts that the services are built from.
#[derive(Clone)]
pub struct App {
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// The sessions of each account.
    pub account_sessions: AccountSessions,
    /// Ends the sessions of accounts.
    pub(crate) revocation: Revocation,
    /// How long a service may use what it has read about a session and its account.
    lease: Duration,
    /// The stored sessions.
    session_store: Arc<dyn AccountStore>,
    sessions: Sessions,
    /// The session layer of busy routes, which caches sessions for the time of a lease.
    cached_sessions: Sessions,
    secrets: Secrets,
    session_keys: Option<EncryptionKeys>,
    /// What all ports have in common.
    edge: Arc<Edge>,
    /// The limits of the process's connections.
    pub doors: Doors,
    /// Tasks that continue after the response to their request.
    tasks: Tasks,
    /// The session layers in use, which are shut down at the end.
    layers: Arc<Mutex<Vec<SessionLayer<OnFailure>>>>,
    store: StoreUrl,
    /// What stands before the id of a session in the store.
    session_key_prefix: String,
    readiness: Readiness,
    denials: Denials,
    slow_store: SlowStore,
    /// Cancelled when the service drains.
    draining: CancellationToken,
    /// The command that runs the process, and the services in it, once it has started.
    process: Arc<OnceLock<(&'static str, &'static [ServiceKind])>>,
    /// The metrics of the process.
    metrics: ProcessMetrics,
    registries: Registries,
    /// The metrics of the ports, so far.
    ports: Arc<Mutex<Vec<Metrics>>>,
    /// How long security events are kept; `None` if they are only logged.
    keep_events: Option<Duration>,
    /// The maximum number of security events of a list.
    max_events: u64,
    /// The collector of traces, and the traces once the process has a name.
    collector: Option<Endpoint>,
    traces: TracesCell,
    /// Whether another port shows the metrics of all ports: `--metrics-listen`.
    has_metrics_port: bool,
    /// Whether this process created its store.
    is_new: bool,
    /// The warnings that a service logs at its start.
    warnings: Vec<Finding>,
}

/// The sessions that a change of an account has ended. Our services refuse the others from before, too.
#[derive(Debug)]
pub struct EndedSessions {
    /// Those that were found.
    pub revoked: Revoked,
    /// Why the search for others failed.
    pub failure: Option<anyhow::Error>,
}

impl App {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened, or the session secret is missing.
    pub async fn open(config: &Common) -> anyhow::Result<Self> {
        Self::on(config, Backend::open(config).await?)
    }

    fn on(config: &Common, backend: Backend) -> anyhow::Result<Self> {
        let Backend {
            storage,
            is_new,
            sessions: session_store,
            cached: cached_store,
            keys,
            secrets,
            denials,
            slow_store,
            metrics,
            traces,
        } = backend;
        let network = &config.network;
        let proxies = Proxies {
            is_any: network.trust_proxy,
            networks: network.trusted_proxies.clone(),
            headers: network.proxy_headers,
        };
        let sessions = |store| {
            SessionLayer::builder(store, secrets.clone())
                .name(COOKIE)
                .ttl(config.lifetimes.lifetimes().idle)
                .proxy(proxies.are_trusted())
                .save_on_server_error(false)
                .account_sessions(account_options())
                .on_failure(session_failed as OnFailure)
        };
        let cached_sessions = sessions(cached_store);
        let (session_store, sessions) = (session_store.clone(), sessions(session_store));
        let account_sessions = sessions.clone().build()?.account_sessions();
        let account_sessions = account_sessions.context("the layer indexes accounts")?;
        // Nothing is cached of an embedded store, because reading it is fast.
        let lease = match &config.store {
            StoreUrl::Sqlite(_) => Duration::ZERO,
            StoreUrl::Redis(_) => config.session_cache,
        };
        let revocation = Revocation::new(
            storage.clone(),
            storage.clone(),
            storage.clone(),
            account_sessions.clone(),
            lease,
        );
        Ok(Self {
            storage,
            account_sessions,
            revocation,
            lease,
            session_store,
            sessions,
            cached_sessions,
            secrets,
            session_keys: keys,
            edge: Arc::new(Edge {
                proxies: proxies.clone(),
                cors: Cors::new(&network.cors_origins),
                strict_transport: StrictTransport {
                    max_age: network.hsts_max_age,
                    include_subdomains: network.hsts_include_subdomains,
                },
                limits: ClientLimits::new(
                    network,
                    metrics.throttled.requests.clone(),
                    metrics.throttled.event_streams.clone(),
                ),
                request_timeout: network.request_timeout,
            }),
            doors: Doors::new(network, proxies, metrics.throttled.connections.clone()),
            tasks: Tasks::default(),
            layers: Arc::default(),
            store: config.store.clone(),
            session_key_prefix: Form::of(config).key_prefix(config),
            readiness: Readiness::unchecked(),
            denials,
            slow_store,
            draining: CancellationToken::new(),
            process: Arc::default(),
            metrics,
            registries: Registries::default(),
            ports: Arc::default(),
            keep_events: Some(config.keep_security_events).filter(|age| !age.is_zero()),
            max_events: config.max_security_events,
            collector: config.otlp_endpoint.clone(),
            traces,
            has_metrics_port: config.metrics_listen.is_some(),
            is_new,
            warnings: session_secret::warnings(config),
        })
    }

    /// Returns doors with the same settings, for a port that must not suffer from the others.
    #[must_use]
    pub fn new_doors(&self, config: &Common) -> Doors {
        let refused = self.metrics.throttled.connections.clone();
        Doors::new(&config.network, self.edge.proxies.clone(), refused)
    }

    /// Makes `/readyz` say when the service drains.
    #[must_use]
    pub fn stopping_with(self, stop: &Stop) -> Self {
        Self { draining: stop.draining.clone(), ..self }
    }

    /// Runs the authentication service to its end, and beside it the search for sessions of accounts
    /// whose epoch was raised, and the removal of old security events.
    pub async fn searching<T>(&self, service: impl Future<Output = T>) -> T {
        let (app, revocation) = (self.clone(), self.revocation.clone());
        let search = async move {
            app.ready().await;
            let remove = event_retention::run(&*app.storage, app.keep_events);
            tokio::join!(revocation.search(app.security_log("auth")), remove)
        };
        // The lease of the search ends by itself.
        let _search = AbortOnDropHandle::new(tokio::spawn(search));
        service.await
    }

    /// Changes an account with `raise`, which raises its epoch, and ends all sessions from before, for a command.
    ///
    /// # Errors
    ///
    /// If the account does not exist any more, or the store fails; then the account may be changed or not. When it is
    /// changed, nothing that follows is an error: it is in what this returns.
    pub async fn end_sessions(
        &self,
        Credentials { id, email, .. }: &Credentials,
        raise: impl Future<Output = Result<Option<NewEpoch>, StorageError>>,
    ) -> anyhow::Result<EndedSessions> {
        let raised = self.revocation.end(email, None, raise).await;
        let raised = raised.context("the account may be changed or not; run the command again")?;
        let mut raised = raised.with_context(|| format!("user {id} no longer exists"))?;
        let failure =
            self.revocation.search_now(&mut raised).await.err().map(|error| match error {
                SearchError::Storage(error) => error.into(),
                SearchError::Session(error) => error.into(),
            });
        Ok(EndedSessions { revoked: raised.revoked, failure })
    }

    /// Returns the secrets that sign session cookies, through which they are replaced in all
    /// services at once.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Returns the keys that encrypt stored sessions, if they are encrypted.
    #[must_use]
    pub fn session_keys(&self) -> Option<EncryptionKeys> {
        self.session_keys.clone()
    }

    /// Returns the demo account, which the store may have or not.
    pub(crate) fn demo_account(&self) -> DemoAccount {
        let (users, factors) = (self.storage.clone(), self.storage.clone());
        let sessions = (self.session_store.clone(), self.secrets.clone());
        DemoAccount::new(users, factors, sessions, self.session_key_prefix.clone())
    }

    /// Returns the record of security events of a command, which only operators can run.
    pub(crate) fn operators_log(&self, command: &'static str) -> SecurityLog {
        self.security_log(command).of_operators()
    }

    /// Returns the record of security events of a service.
    pub(crate) fn security_log(&self, source: &'static str) -> SecurityLog {
        let counts = (self.metrics.security_events.clone(), self.metrics.unrecorded_events.clone());
        let (store, tasks) = (self.storage.clone(), self.tasks.clone());
        let max_events = self.keep_events.map(|_| self.max_events);
        SecurityLog::new(store, max_events, tasks, counts, source)
    }

    /// Waits for work that continues after its response, for a limited time. Call it when the
    /// services have stopped.
    pub async fn finish(&self) {
        let layers = std::mem::take(&mut *self.layers());
        let shut_down = join_all(layers.iter().map(SessionLayer::shut_down));
        let shut_down = tokio::time::timeout(FINISH, shut_down);
        let (shut_down, ()) = tokio::join!(shut_down, self.tasks.finish(FINISH));
        if shut_down.is_err() {
            tracing::warn!("stopped while sessions were still being touched");
        }
    }

    fn layers(&self) -> MutexGuard<'_, Vec<SessionLayer<OnFailure>>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}
