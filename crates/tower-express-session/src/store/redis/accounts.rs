//! The index of each account's sessions in Redis: a hash for each account.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use redis_link::{Reply, glob_escaped};
use serde::{Deserialize, Serialize};

use super::commands::milliseconds;
use super::{RedisStore, unexpected};
use crate::at_once::at_once;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::store::{AccountStore, IndexedSession, SessionVisitor};

/// The prefixes of the field with a session's time of creation and of the field with its other
/// details. They are two fields, so that the first one is kept when the second is written again.
const CREATED: &str = "c:";
const SEEN: &str = "s:";

/// The number of keys that Redis examines in one step of a scan.
const SCAN_COUNT: usize = 500;

/// The number of sessions that are ended in one pipeline: a slow server must end them all within the time
/// limit of a command.
const ENDED_AT_ONCE: usize = 256;

/// The details of a session in the index, without its time of creation.
#[derive(Deserialize, Serialize)]
struct LastUse {
    at: u64,
    device: String,
    address: String,
}

#[async_trait]
impl AccountStore for RedisStore {
    async fn index(
        &self,
        account: &str,
        session: &IndexedSession,
        keep: Duration,
    ) -> Result<(), Error> {
        let IndexedSession { id, created_ms, last_seen_ms, device, address } = session;
        let seen = LastUse { at: *last_seen_ms, device: device.clone(), address: address.clone() };
        let seen =
            serde_json::to_vec(&seen).map_err(|cause| Error::new(ErrorKind::Store, cause))?;
        let (created_field, seen_field) =
            (format!("{CREATED}{}", id.as_str()), format!("{SEEN}{}", id.as_str()));
        let (created, keep) = (created_ms.to_string(), milliseconds(keep));
        let arguments = [
            created_field.as_bytes(),
            created.as_bytes(),
            seen_field.as_bytes(),
            &seen,
            keep.as_bytes(),
        ];
        let key = self.account_key(account);
        self.client.run(&self.scripts.index, &[key.as_bytes()], &arguments).await?;
        Ok(())
    }

    async fn indexed(&self, account: &str) -> Result<Vec<IndexedSession>, Error> {
        let key = self.account_key(account);
        let Reply::Array(fields) = self.client.call(&[b"HGETALL", key.as_bytes()]).await? else {
            return Err(unexpected("HGETALL", &Reply::Nil));
        };
        let texts: Vec<String> = fields.into_iter().filter_map(text).collect();
        let fields: HashMap<&str, &str> =
            texts.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        let created =
            fields.iter().filter_map(|(field, at)| Some((field.strip_prefix(CREATED)?, at)));
        let indexed = created.map(|(id, created)| {
            let seen = fields.get(format!("{SEEN}{id}").as_str());
            let seen = seen.and_then(|json| serde_json::from_str(json).ok());
            let created_ms = created.parse().unwrap_or_default();
            let unknown = LastUse { at: created_ms, device: String::new(), address: String::new() };
            let LastUse { at: last_seen_ms, device, address } = seen.unwrap_or(unknown);
            IndexedSession { id: SessionId::from(id), created_ms, last_seen_ms, device, address }
        });
        Ok(indexed.collect())
    }

    async fn destroy_each(&self, sessions: &[(SessionId, Duration)]) -> Result<usize, Error> {
        let mut ended = 0;
        for some in sessions.chunks(ENDED_AT_ONCE) {
            let ends = some.iter().cloned().map(|(id, tombstone)| {
                let store = self.clone();
                async move { store.end_now(&id, tombstone).await }
            });
            ended += at_once(ends).await?.into_iter().filter(|was_there| *was_there).count();
        }
        tokio::time::sleep(self.destroy_waits).await;
        Ok(ended)
    }

    async fn unindex(&self, account: &str, ids: &[SessionId]) -> Result<(), Error> {
        let key = self.account_key(account);
        let fields: Vec<String> = ids
            .iter()
            .flat_map(|id| [CREATED, SEEN].map(|kind| format!("{kind}{}", id.as_str())))
            .collect();
        if fields.is_empty() {
            return Ok(());
        }
        let mut words: Vec<&[u8]> = vec![b"HDEL", key.as_bytes()];
        words.extend(fields.iter().map(String::as_bytes));
        self.client.call(&words).await?;
        Ok(())
    }

    async fn each(&self, visit: &mut SessionVisitor<'_>) -> Result<(), Error> {
        let pattern = format!("{}*", glob_escaped(&self.prefix));
        let mut scan = self.client.scan(&pattern, SCAN_COUNT).await?;
        while let Some(keys) = scan.next().await? {
            if keys.is_empty() {
                continue;
            }
            let mut words: Vec<&[u8]> = vec![b"MGET"];
            words.extend(keys.iter().map(|key| &key[..]));
            let Reply::Array(values) = self.client.call(&words).await? else {
                return Err(unexpected("MGET", &Reply::Nil));
            };
            for (key, value) in keys.iter().zip(values) {
                let key = std::str::from_utf8(key).ok();
                let id = key.and_then(|key| key.strip_prefix(&*self.prefix));
                if let (Some(id), Reply::Bytes(value)) = (id, value) {
                    visit(SessionId::from(id), value);
                }
            }
        }
        Ok(())
    }
}

impl RedisStore {
    /// Ends a session without a wait.
    pub(super) async fn end_now(&self, id: &SessionId, tombstone: Duration) -> Result<bool, Error> {
        let ended = self.end(id, tombstone).await;
        self.invalidate(id);
        ended
    }

    fn account_key(&self, account: &str) -> String {
        match &self.account_prefix {
            Some(prefix) => format!("{prefix}{account}"),
            None => format!("accounts:{}{account}", self.prefix),
        }
    }
}

fn text(reply: Reply) -> Option<String> {
    let Reply::Bytes(bytes) = reply else { return None };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
