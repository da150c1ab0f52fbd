//! The access to a store that is not served: to examine it, or to copy it.

use std::path::Path;
use std::sync::Arc;

use super::App;
use crate::config::{Common, StoreUrl, secret_path};
use crate::storage::{Fault, Finding, Storage};
pub use checkin_sqlite::Copied;
pub(crate) use checkin_sqlite::Draft;
use checkin_sqlite::{self as sqlite, Place};

/// The store and the first findings of `checkin doctor`.
pub(super) struct Examination {
    /// The findings from before the store was opened.
    pub(super) findings: Vec<Finding>,
    /// The store, if it can be opened.
    pub(super) store: Option<Arc<dyn Storage>>,
}

/// Opens the store read-only for `checkin doctor`.
///
/// # Errors
///
/// If there is no store that could be examined.
pub(super) async fn examine(config: &Common) -> anyhow::Result<Examination> {
    let StoreUrl::Sqlite(path) = &config.store else {
        let App { storage, .. } = App::open(config).await?;
        return Ok(Examination { findings: Vec::new(), store: Some(storage) });
    };
    let (findings, storage) = sqlite::examine(path).await?;
    Ok(Examination { findings, store: storage.map(|storage| Arc::new(storage) as _) })
}

/// Checks that an embedded store exists, because opening it would create one.
///
/// # Errors
///
/// If it does not exist.
pub fn must_exist(config: &Common) -> Result<(), Fault> {
    match &config.store {
        StoreUrl::Sqlite(path) if !path.exists() => {
            Err(sqlite::unusable(path).unwrap_or_else(|| sqlite::absent(path)))
        }
        _ => Ok(()),
    }
}

/// Copies the embedded store, which may be in use, to this file, and its secret beside it.
///
/// # Errors
///
/// If the store is not embedded, cannot be copied, or the file exists.
pub async fn back_up(config: &Common, file: &Path) -> Result<Copied, Fault> {
    sqlite::back_up(&embedded(config)?, &place(file)).await
}

/// Copies a backup, and the secret beside it, to the path of the embedded store.
///
/// # Errors
///
/// If the store is not embedded, the file is not a backup, or the path exists.
pub async fn restore(config: &Common, file: &Path) -> Result<Copied, Fault> {
    sqlite::restore(&place(file), &embedded(config)?).await
}

fn embedded(config: &Common) -> Result<Place, Fault> {
    match &config.store {
        StoreUrl::Sqlite(path) => Ok(place(path)),
        StoreUrl::Redis(_) => Err(Fault::lasting(
            "the store must be an embedded one (sqlite:PATH) to be copied",
            "on Redis, use `redis-cli --rdb FILE` and what docs/operations.md says under Backups",
        )),
    }
}

fn place(database: &Path) -> Place {
    Place { database: database.to_owned(), secret: secret_path(database) }
}
