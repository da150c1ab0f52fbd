//! The state that the routes share.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use tower_express_session::store::AccountStore;

use super::diagnosis::Doctor;
use crate::http::Metrics;
use crate::metrics::ProcessMetrics;
use crate::storage::{Finding, Storage, Users};
use crate::usecases::session_census::SessionCensus;
use crate::usecases::tasks::Tasks;

/// Examines the settings and the store of the process, within a limited time.
pub type Diagnose = Arc<dyn Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync>;

/// The parts of the store, and of the process, that the service uses.
pub struct Parts {
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// The stored sessions.
    pub sessions: Arc<dyn AccountStore>,
    /// The metrics of the process.
    pub metrics: ProcessMetrics,
    /// The metrics of the ports of the process, of which there may be more later.
    pub ports: Arc<dyn Fn() -> Vec<Metrics> + Send + Sync>,
    /// Examines the settings and the store.
    pub diagnose: Diagnose,
    /// Runs work that must not end with its request.
    pub tasks: Tasks,
}

/// The state of the service.
pub(super) struct Operations {
    pub(super) users: Arc<dyn Users>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) census: SessionCensus,
    pub(super) metrics: ProcessMetrics,
    pub(super) ports: Arc<dyn Fn() -> Vec<Metrics> + Send + Sync>,
    pub(super) doctor: Doctor,
    pub(super) started: Instant,
}

impl From<Parts> for Operations {
    fn from(Parts { storage, sessions, metrics, ports, diagnose, tasks }: Parts) -> Self {
        Self {
            users: storage.clone(),
            census: SessionCensus::new(sessions, tasks),
            doctor: Doctor::new(diagnose),
            started: Instant::now(),
            storage,
            metrics,
            ports,
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}
