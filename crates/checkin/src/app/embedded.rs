//! What the commands do with a store that they do not serve: look at it, copy it.

use std::path::Path;
use std::sync::Arc;

use super::App;
use crate::config::{Common, StoreUrl, secret_path};
use crate::storage::{Fault, Finding, Storage};
pub use checkin_sqlite::Copied;
use checkin_sqlite::{self as sqlite, Place};

/// What `checkin doctor` looks at.
#[expect(missing_debug_implementations, reason = "a store has nothing to show")]
pub struct Examination {
    /// What was found before the store was asked.
    pub findings: Vec<Finding>,
    /// The store, if it can be asked.
    pub store: Option<Arc<dyn Storage>>,
}

/// Opens the store for the doctor, who changes nothing in it.
///
/// # Errors
///
/// Why there is no store that could be looked at.
pub async fn examine(config: &Common) -> anyhow::Result<Examination> {
    let StoreUrl::Sqlite(path) = &config.store else {
        let App { storage, .. } = App::open(config).await?;
        return Ok(Examination { findings: Vec::new(), store: Some(storage) });
    };
    let (findings, storage) = sqlite::examine(path).await?;
    Ok(Examination { findings, store: storage.map(|storage| Arc::new(storage) as _) })
}

/// Checks that an embedded store is there: opening it would make one.
///
/// # Errors
///
/// When there is none.
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
/// When the store is not embedded or cannot be copied, or something is there already.
pub async fn back_up(config: &Common, file: &Path) -> Result<Copied, Fault> {
    sqlite::back_up(&embedded(config)?, &place(file)).await
}

/// Copies a backup, and the secret beside it, to the place of the embedded store.
///
/// # Errors
///
/// When the store is not embedded, the file is no backup, or something is there already.
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
