//! The parsed record of a value that a cache keeps.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::Error;
use crate::recent_cookie::RecentCookie;
use crate::record::{Reading, Record};

/// The record of a stored value that a cache keeps: parsed when it is first read, and shared by all
/// later readers. By default nothing is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedRecord(Option<Arc<OnceLock<(Bytes, Record)>>>);

impl SharedRecord {
    /// Returns a place for the record of a value that a cache keeps.
    #[cfg(feature = "redis")]
    pub(crate) fn unparsed() -> Self {
        Self(Some(Arc::default()))
    }

    /// Returns [`Record::parse`] of the value, verbatim.
    pub(crate) fn parse(
        &self,
        stored: &Bytes,
        recent: &RecentCookie,
        now_ms: f64,
    ) -> Result<Option<Record>, Error> {
        let parse = |now_ms| {
            let cookie = |json: &str| recent.read(json, now_ms);
            Record::parse_with(stored, Reading::Verbatim, cookie)
        };
        let Some(place) = &self.0 else { return parse(now_ms) };
        // A store that is put around another one may have replaced the value.
        if let Some((value, record)) = place.get()
            && value == stored
        {
            return Ok(Some(record.clone()));
        }
        let Some(record) = parse(now_ms)? else { return Ok(None) };
        // A stored `maxAge` counts from the time at which it is read.
        if parse(now_ms + 1.0)?.is_some_and(|later| later.cookie == record.cookie) {
            drop(place.set((stored.clone(), record.clone())));
        }
        Ok(Some(record))
    }

    /// Returns an estimate of the memory of a parsed value, in bytes, rather too high.
    #[cfg(feature = "redis")]
    pub(crate) fn estimated_bytes(stored: &[u8]) -> usize {
        const RECORD: usize = 500;
        const MEMBER: usize = 120;
        RECORD + stored.iter().filter(|byte| **byte == b':').count() * MEMBER
    }
}

/// What is shared is no part of the session.
impl PartialEq for SharedRecord {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for SharedRecord {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_record_is_parsed_once_unless_it_depends_on_the_time_or_on_another_value() {
        let shared = |json: &str, other: &str, now_ms: f64| {
            let place = SharedRecord::unparsed();
            let values = [json, other].map(|json| Bytes::from(json.to_owned()));
            let recent = RecentCookie::default();
            let parsed =
                |value: &Bytes, now_ms| place.parse(value, &recent, now_ms).unwrap().unwrap();
            let [first, second] = [parsed(&values[0], 0.0), parsed(&values[1], now_ms)];
            assert_eq!(second.to_json(), rewritten_at(other, now_ms));
            Arc::ptr_eq(&first.attributes, &second.attributes)
        };
        let json =
            r#"{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":1}"#;
        let expiring = r#"{"cookie":{"originalMaxAge":5,"expires":"2026-11-06T20:02:03.456Z"}}"#;
        let relative = r#"{"cookie":{"maxAge":5,"originalMaxAge":5}}"#;
        assert!(shared(json, json, 9.0));
        assert!(shared(expiring, expiring, 9.0));
        assert!(!shared(relative, relative, 9.0));
        assert!(!shared(json, expiring, 9.0));
    }

    fn rewritten_at(json: &str, now_ms: f64) -> Bytes {
        let value = Bytes::from(json.to_owned());
        Record::parse(&value, Reading::Verbatim, now_ms).unwrap().unwrap().to_json()
    }
}
