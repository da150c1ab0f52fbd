//! Where sessions are stored: as Express stores them, or encrypted, in a place of their own.

use std::path::Path;
use std::sync::Arc;

use redis_link::Client;
use sqlite_writer::Database;
use tower_express_session::store::AccountStore;
use tower_express_session::store::encrypted::{EncryptedStore, EncryptionKeys};
use tower_express_session::store::redis::RedisStore;
use tower_express_session::store::sqlite::SqliteStore;
use tower_express_session::{Error, SessionId};

use super::backend::timeouts;
use crate::config::{Common, StoreUrl};
use crate::storage::Finding;

/// The form of stored sessions. Each has a prefix of its own, so that a service with the other form
/// leaves them alone.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Plain,
    Encrypted,
}

/// What the ids of encrypted sessions begin with in an SQLite file, where all others have no prefix.
const ENCRYPTED: &str = "encrypted:";

impl Form {
    pub(super) fn of(config: &Common) -> Self {
        config.session_encryption.as_ref().map_or(Self::Plain, |_| Self::Encrypted)
    }

    /// Returns what stands before the id of a session in the store, as people are told it.
    pub(super) fn key_prefix(self, config: &Common) -> String {
        match (&config.store, self) {
            (StoreUrl::Redis(_), _) => {
                format!("{}:{}session:", config.key_prefix.as_str(), self.kind())
            }
            (StoreUrl::Sqlite(_), Self::Plain) => "sessions, id ".to_owned(),
            (StoreUrl::Sqlite(_), Self::Encrypted) => format!("sessions, id {ENCRYPTED}"),
        }
    }

    /// Returns what the names of keys in Redis have before their kind.
    fn kind(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Encrypted => "encrypted-",
        }
    }

    pub(super) fn in_redis(self, client: Client, prefix: &str) -> RedisStore {
        let kind = self.kind();
        RedisStore::new(client)
            .prefix(&format!("{prefix}:{kind}session:"))
            .account_prefix(&format!("{prefix}:{kind}account-sessions:"))
    }

    pub(super) fn in_sqlite(self, store: SqliteStore) -> SqliteStore {
        match self {
            Self::Plain => store,
            Self::Encrypted => store.prefix(ENCRYPTED),
        }
    }
}

/// Returns the store with encryption around it, if there are keys.
pub(super) fn with_encryption(
    store: impl AccountStore,
    keys: Option<&EncryptionKeys>,
) -> Arc<dyn AccountStore> {
    match keys {
        Some(keys) => Arc::new(EncryptedStore::new(store, keys.clone())),
        None => Arc::new(store),
    }
}

/// The stored sessions that these settings do not reach.
#[derive(Clone, Copy, Debug)]
pub struct OutOfReach {
    /// Those that are encrypted, with none of the keys.
    pub encrypted: usize,
    /// Those that are not encrypted, although there are keys.
    pub plain: usize,
}

/// Counts the stored sessions that these settings do not reach. It changes nothing.
///
/// # Errors
///
/// If the store cannot be read.
pub async fn out_of_reach(config: &Common) -> anyhow::Result<OutOfReach> {
    let [plain, encrypted] = match &config.store {
        StoreUrl::Sqlite(path) => in_file(path)?,
        StoreUrl::Redis(url) => {
            let client = Client::at(url.address.clone(), timeouts(config))?;
            // Connecting to a cluster may take longer than a command. What is wrong, the first command says.
            let _ = client.check().await;
            let prefix = config.key_prefix.as_str();
            [Form::Plain, Form::Encrypted]
                .map(|form| Arc::new(form.in_redis(client.clone(), prefix)) as _)
        }
    };
    let all_encrypted = count(&*encrypted).await?;
    Ok(match &config.session_encryption {
        None => OutOfReach { encrypted: all_encrypted, plain: 0 },
        Some(keys) => {
            let readable = count(&*with_encryption(encrypted, Some(&keys.keys()?))).await?;
            let encrypted = all_encrypted.saturating_sub(readable);
            OutOfReach { encrypted, plain: count(&*plain).await? }
        }
    })
}

/// Returns what `checkin doctor` finds about the form of the stored sessions.
///
/// # Errors
///
/// As [`out_of_reach`].
pub(super) async fn session_findings(config: &Common) -> anyhow::Result<Vec<Finding>> {
    let OutOfReach { encrypted, plain } = out_of_reach(config).await?;
    let has_keys = config.session_encryption.is_some();
    let mut findings = Vec::new();
    findings.extend(has_keys.then(|| {
        Finding::fine(
            "stored sessions are encrypted; Express services cannot share them".to_owned(),
        )
    }));
    findings.extend((plain > 0).then(|| {
        Finding::warning(
            format!("sessions that are stored without encryption, and are not accepted: {plain}"),
            "if they are not from before --session-encryption-key-file was set, a service runs without it: set \
             it for every service. The sessions end by themselves",
        )
    }));
    findings.extend((encrypted > 0).then(|| {
        let what = format!(
            "sessions that are encrypted with keys that these settings do not have: {encrypted}"
        );
        let advice =
            "give all services and commands the same file with --session-encryption-key-file";
        // With keys, they may be what is left of a key that was removed.
        if has_keys { Finding::warning(what, advice) } else { Finding::problem(what, advice) }
    }));
    Ok(findings)
}

pub(super) fn in_file(path: &Path) -> anyhow::Result<[Arc<dyn AccountStore>; 2]> {
    let database = Database::open_read_only(path)?;
    let [plain, encrypted] = [Form::Plain, Form::Encrypted]
        .map(|form| Arc::new(form.in_sqlite(SqliteStore::existing(database.clone()))));
    Ok([plain, encrypted])
}

async fn count(store: &dyn AccountStore) -> Result<usize, Error> {
    let mut number = 0;
    let mut visit = |id: SessionId, _| number += usize::from(is_counted(&id));
    store.each(&mut visit).await?;
    Ok(number)
}

/// Without a prefix, the encrypted sessions of an SQLite file are visited, too.
pub(super) fn is_counted(id: &SessionId) -> bool {
    !id.as_str().starts_with(ENCRYPTED)
}
