//! What a session needs to know of its request, and how it comes from the store and goes there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::merge::merge;
use crate::options::Options;
use crate::record::Record;
use crate::state::State;
use crate::store::{Created, Store, Updated};
use crate::timestamp::now_ms;

/// How often a save merges with what others wrote meanwhile before it gives up.
const MERGE_ATTEMPTS: usize = 64;

/// What a session needs to know of its request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: Arc<Options>,
    pub(crate) store: Arc<dyn Store>,
    /// The ids that came with the request under a good signature, in order. In strict mode at most
    /// the first cookie's.
    pub(crate) cookie_ids: Vec<SessionId>,
    /// The request came over TLS.
    pub(crate) secure: bool,
}

impl Context {
    /// The session that one of the request's cookies names, or a new one.
    pub(crate) async fn open(&self) -> Result<State, Error> {
        for id in &self.cookie_ids {
            let Some(stored) = self.store.load(id).await? else { continue };
            match self.parse(&stored) {
                Ok(Some(record)) => {
                    let resave = self.options.rules.resave;
                    return Ok(State::loaded(id.clone(), stored, record, resave));
                }
                Ok(None) => {}
                Err(error) if self.options.strict => return Err(error),
                Err(error) => {
                    tracing::warn!(session.id = ?id, %error, "ignoring a corrupt session");
                }
            }
        }
        Ok(State::new(SessionId::generate()?, self.new_record()?))
    }

    /// An empty session.
    pub(crate) fn new_record(&self) -> Result<Record, Error> {
        Ok(Record::new(self.options.cookie.make(self.secure, now_ms())?))
    }

    /// The record in a stored value. Outside the strict mode a cookie whose lifetime cannot be
    /// started again is corrupt, too: Express fails on it at the end of the request.
    pub(crate) fn parse(&self, stored: &Bytes) -> Result<Option<Record>, Error> {
        let now_ms = now_ms();
        let record = Record::parse(stored, self.options.reading(), now_ms)?;
        if let (Some(record), false) = (&record, self.options.strict) {
            record.cookie.clone().touch(now_ms).map_err(|_| ErrorKind::Corrupt)?;
        }
        Ok(record)
    }

    /// Writes `record`, merged with what others wrote since `base`, and gives the bytes stored.
    pub(crate) async fn write(
        &self,
        id: &SessionId,
        record: &mut Record,
        base: Option<(Bytes, Record)>,
        ttl: Duration,
    ) -> Result<Bytes, Error> {
        let store = &self.store;
        if self.options.strict {
            let value = record.to_json();
            store.overwrite(id, value.clone(), ttl).await?;
            return Ok(value);
        }
        let Some((mut base_bytes, mut base)) = base else {
            let value = record.to_json();
            return match store.create(id, value.clone(), ttl).await? {
                Created::Stored => Ok(value),
                Created::Exists => Err(ErrorKind::Conflict.into()),
            };
        };
        for _ in 0..MERGE_ATTEMPTS {
            let value = record.to_json();
            match store.update(id, &base_bytes, value.clone(), ttl).await? {
                Updated::Stored => return Ok(value),
                Updated::Gone => return Err(ErrorKind::Gone.into()),
                Updated::Changed(current) => {
                    let theirs = self.parse(&current)?.ok_or(ErrorKind::Gone)?;
                    *record = merge(&base, record, &theirs);
                    (base_bytes, base) = (current, theirs);
                }
            }
        }
        Err(ErrorKind::Conflict.into())
    }
}
