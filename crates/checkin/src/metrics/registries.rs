//! Which metrics a process has, and which of them a port shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::registry::Registry;

/// All metrics of a process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Registries(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Those of the whole process, which every port shows.
    process: Vec<Arc<Registry>>,
    /// Those of single ports.
    ports: Vec<Arc<Registry>>,
}

impl Registries {
    /// Adds metrics of the whole process.
    pub fn add(&self, registry: Registry) {
        self.lists().process.push(Arc::new(registry));
    }

    /// Adds the metrics of a port.
    pub fn add_port(&self, registry: Arc<Registry>) {
        self.lists().ports.push(registry);
    }

    /// Returns all metrics of the process.
    pub(crate) fn all(&self) -> Vec<Arc<Registry>> {
        let Lists { process, ports } = &*self.lists();
        [ports.as_slice(), process].concat()
    }

    /// Returns the metrics that a port shows: its own, and those of the whole process.
    pub(crate) fn with_port(&self, own: &Arc<Registry>) -> Vec<Arc<Registry>> {
        let own = std::iter::once(own);
        own.chain(&self.lists().process).cloned().collect()
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // Only lists, which are valid after any step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
