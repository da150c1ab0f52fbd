//! The write-ahead log of an embedded store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Looks up the length of the write-ahead log when it is asked for. On Redis it is 0.
#[derive(Clone, Debug, Default)]
pub struct SqliteLog(Arc<OnceLock<PathBuf>>);

impl SqliteLog {
    /// Sets the database. Only the first call has an effect.
    pub fn set(&self, database: &Path) {
        drop(self.0.set(database.to_owned()));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

impl Collector for SqliteLog {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let bytes = self.0.get().map_or(0, |database| sqlite_writer::log_bytes(database));
        let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let help = "Length of the write-ahead log of an embedded store.";
        let kind = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor("checkin_sqlite_wal_bytes", help, None, kind)?)
    }
}
