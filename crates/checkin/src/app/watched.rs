//! The store as `checkin top` sees it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis_link::Client;
use tokio::time::timeout;
use tower_express_session::SessionId;
use tower_express_session::store::AccountStore;

use super::backend::timeouts;
use super::session_stores::{Form, in_file, is_counted};
use crate::config::{Common, StoreUrl};
use crate::storage::{Applier, PartState, StorageError};
use crate::usecases::overview::SessionCount;
use checkin_redis::RedisStorage;
use checkin_sqlite as sqlite;

/// A store that is only read. It needs no session secret and no key.
pub(crate) struct WatchedStore {
    log: Arc<dyn Applier>,
    sessions: Arc<dyn AccountStore>,
}

impl WatchedStore {
    /// Opens the store that the settings name. It never creates or changes one.
    ///
    /// # Errors
    ///
    /// If there is no store, or it cannot be read.
    pub(crate) async fn open(config: &Common) -> anyhow::Result<Self> {
        let form = Form::of(config);
        Ok(match &config.store {
            StoreUrl::Sqlite(path) => {
                let log = Arc::new(sqlite::watch(path).await?);
                let [plain, encrypted] = in_file(path)?;
                let sessions = if matches!(form, Form::Plain) { plain } else { encrypted };
                Self { log, sessions }
            }
            StoreUrl::Redis(url) => {
                let client = Client::at(url.address.clone(), timeouts(config))?;
                let prefix = config.key_prefix.as_str();
                let sessions = Arc::new(form.in_redis(client.clone(), prefix));
                let log = Arc::new(RedisStorage::new(client, prefix, config.partitions.into()));
                Self { log, sessions }
            }
        })
    }

    /// Measures the parts of the log, and returns how long the store took to answer.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub(crate) async fn parts(&self) -> Result<(Duration, Vec<PartState>), StorageError> {
        let start = Instant::now();
        let parts = self.log.part_states().await?;
        Ok((start.elapsed(), parts))
    }

    /// Counts the stored sessions for at most this time.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub(crate) async fn count_sessions(
        &self,
        within: Duration,
    ) -> Result<SessionCount, tower_express_session::Error> {
        let mut number = 0;
        let mut visit = |id: SessionId, _| number += usize::from(is_counted(&id));
        let counted = timeout(within, self.sessions.each(&mut visit)).await;
        let is_at_least = counted.is_err();
        counted.unwrap_or(Ok(()))?;
        Ok(SessionCount { number, is_at_least })
    }
}
