//! The backend that the settings name, opened.

use std::path::Path;
use std::sync::Arc;

use redis_link::{Client, Timeouts};
use sqlite_writer::Database;
use tower_express_session::store::AccountStore;
use tower_express_session::store::encrypted::EncryptionKeys;
use tower_express_session::store::redis::CacheOptions;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{ConfigError, Secrets};

use super::observe::{self, TracesCell};
use super::session_stores::{Form, with_encryption};
use super::start::Denials;
use crate::config::{Common, RedisUrl, SessionEncryption, StoreUrl};
use crate::metrics::ProcessMetrics;
use crate::session_secret;
use crate::slow_store::SlowStore;
use crate::storage::Storage;
use checkin_redis::RedisStorage;
use checkin_sqlite::{self as sqlite, SqliteStorage};

/// The stores of a backend, and what reports on them.
pub(super) struct Backend {
    pub(super) storage: Arc<dyn Storage>,
    /// Whether the store did not exist.
    pub(super) is_new: bool,
    pub(super) sessions: Arc<dyn AccountStore>,
    /// The sessions of busy routes, which are cached for the time of a lease.
    pub(super) cached: Arc<dyn AccountStore>,
    pub(super) keys: Option<EncryptionKeys>,
    pub(super) secrets: Secrets,
    pub(super) denials: Denials,
    pub(super) slow_store: SlowStore,
    pub(super) metrics: ProcessMetrics,
    pub(super) traces: TracesCell,
}

impl Backend {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    ///
    /// As [`App::open`](super::App::open).
    pub(super) async fn open(config: &Common) -> anyhow::Result<Self> {
        match &config.store {
            StoreUrl::Sqlite(path) => Self::sqlite(config, path).await,
            StoreUrl::Redis(url) => Self::redis(config, url),
        }
    }

    async fn sqlite(config: &Common, path: &Path) -> anyhow::Result<Self> {
        if let Some(fault) = sqlite::unusable(path) {
            return Err(fault.into());
        }
        let is_new = !path.exists();
        let database = Database::open(path).map_err(|error| sqlite::fault(path, &error))?;
        let storage = SqliteStorage::open(database.clone()).await;
        let storage = storage.map_err(|error| sqlite::fault(path, &error))?;
        let metrics = ProcessMetrics::default();
        metrics.sqlite_log.set(path);
        let traces = TracesCell::default();
        observe::sqlite(&database, metrics.store.clone(), traces.clone());
        let sessions = SqliteStore::new(database).await;
        let mut sessions = sessions.map_err(|error| sqlite::fault(path, &error))?;
        if let Some(timeout) = config.lifetimes.lifetimes().absolute {
            sessions = sessions.absolute_timeout(timeout);
        }
        let secret = match &config.session_secret {
            Some(secret) => secret.clone(),
            None => session_secret::of_embedded_store(path)?,
        };
        let keys = session_keys(config)?;
        let sessions = with_encryption(Form::of(config).in_sqlite(sessions), keys.as_ref());
        Ok(Self {
            storage: Arc::new(storage),
            is_new,
            cached: sessions.clone(),
            sessions,
            keys,
            secrets: Secrets::new(secret.as_slice())?,
            denials: Denials::default(),
            slow_store: SlowStore::new(config.store_timeout),
            metrics,
            traces,
        })
    }

    fn redis(config: &Common, url: &RedisUrl) -> anyhow::Result<Self> {
        let Some(secret) = &config.session_secret else {
            return Err(session_secret::missing().into());
        };
        // Replicas must answer before the command times out: 150 ms of 250.
        let (replicas, within) = (config.wait_replicas, config.store_timeout * 3 / 5);
        let client = Client::at(url.address.clone(), timeouts(config))?;
        let metrics = ProcessMetrics::default();
        let traces = TracesCell::default();
        let denials = Denials { client: Some(client.clone()), ..Denials::default() };
        let slow_store = SlowStore::new(config.store_timeout);
        let (store, noticed) = (metrics.store.clone(), denials.noticed.clone());
        observe::redis(&client, store, traces.clone(), noticed, slow_store.clone());
        let prefix = config.key_prefix.as_str();
        let mut sessions = Form::of(config)
            .in_redis(client.clone(), prefix)
            .wait_for_replicas(replicas, within)?;
        if let Some(timeout) = config.lifetimes.lifetimes().absolute {
            sessions = sessions.absolute_timeout(timeout);
        }
        let lease = config.session_cache;
        let cached = match lease.is_zero() {
            true => sessions.clone(),
            false => sessions.clone().cached(CacheOptions::with_lease(lease)),
        };
        metrics.session_cache.set(cached.clone());
        // A logout is answered only when no receiver and no read API accepts the session any more.
        let keys = session_keys(config)?;
        let sessions = with_encryption(sessions.destroy_waits(lease), keys.as_ref());
        let cached = with_encryption(cached, keys.as_ref());
        let storage = RedisStorage::new(client, prefix, config.partitions.into())
            .wait_for_replicas(replicas, within)?;
        let (storage, secrets) = (Arc::new(storage), Secrets::new(secret.as_slice())?);
        // A server tells nothing before it is asked.
        let is_new = false;
        Ok(Self {
            storage,
            is_new,
            sessions,
            cached,
            keys,
            secrets,
            denials,
            slow_store,
            metrics,
            traces,
        })
    }
}

pub(super) fn timeouts(config: &Common) -> Timeouts {
    let response = config.store_timeout;
    Timeouts { connect: response * 2, response }
}

fn session_keys(config: &Common) -> Result<Option<EncryptionKeys>, ConfigError> {
    config.session_encryption.as_ref().map(SessionEncryption::keys).transpose()
}
