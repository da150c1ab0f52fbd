//! The private functions that the fuzz targets in `fuzz/` and the benchmarks in `benches/` call. Not
//! part of the API.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::cookie::Cookie;
use crate::header;
#[cfg(feature = "encryption")]
use crate::id::SessionId;
use crate::js;
use crate::merge;
use crate::options::{DEFAULT_TTL, Rules};
use crate::policy::{self, Facts, StoreAction};
use crate::record::{Reading, Record};
#[cfg(feature = "encryption")]
use crate::store::encrypted::{EncryptionKeys, Place};

/// The current time for all of them, an arbitrary one: 2026-09-01.
const NOW_MS: f64 = 1_788_220_800_000.0;

/// Names as WTF-8 with their raw JSON, in the order in which they are written.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Returns the values of the cookies with this name in the bytes of a `Cookie` header.
pub fn cookie_values(header: &[u8], name: &str) -> Vec<String> {
    let header = header::latin1(header);
    header::cookie_values(&header, name).map(|value| header::value_of(value).into()).collect()
}

/// Returns the `Set-Cookie` line for the cookie of a stored session; `None` if one of the arguments
/// is invalid.
pub fn set_cookie(name: &str, value: &str, cookie_json: &str) -> Option<Vec<u8>> {
    let raw: &RawValue = serde_json::from_str(cookie_json).ok()?;
    let cookie = Cookie::from_json(raw.get(), NOW_MS).ok()?;
    let line = header::set_cookie(name, value, &cookie).ok()?;
    Some(line.as_bytes().to_vec())
}

/// Returns `JSON.stringify(JSON.parse(json))`; `None` if the text is not JSON.
pub fn normalise(json: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    Some(js::normalise(raw.get()).json.into_owned())
}

/// Returns a stored session as it is written back without a change.
pub fn rewrite(stored: &[u8], as_node: bool) -> Option<Vec<u8>> {
    Some(parse(stored, as_node)?.to_json().to_vec())
}

/// Returns the attributes of a stored session.
pub fn attributes(stored: &[u8], as_node: bool) -> Option<Attributes> {
    Some(listed(&parse(stored, as_node)?))
}

/// Returns the attributes of a stored session as one JSON object.
pub fn object(stored: &[u8], as_node: bool) -> Option<String> {
    Some(parse(stored, as_node)?.attributes.to_object())
}

/// Restarts the lifetime of a stored session's cookie and returns its `Set-Cookie` line, as a
/// request does.
pub fn answer(stored: &[u8]) -> Option<Vec<u8>> {
    let mut record = parse(stored, false)?;
    record.touch(NOW_MS).ok()?;
    let cookie = record.cookie;
    let _ = (cookie.expires(), cookie.original_max_age());
    cookie.time_to_live(NOW_MS, DEFAULT_TTL)?;
    Some(header::set_cookie("connect.sid", "s:id", &cookie).ok()?.as_bytes().to_vec())
}

/// Merges the attributes of three stored sessions; `None` if one of them is not a session.
pub fn merged(base: &[u8], mine: &[u8], theirs: &[u8]) -> Option<Attributes> {
    let [base, mine, theirs] = [base, mine, theirs].map(ParsedSession::parse);
    Some(listed(&base?.merged(&mine?, &theirs?).0))
}

/// Returns a session as it is stored encrypted, always in the same place.
#[cfg(feature = "encryption")]
pub fn seal_session(id: &str, value: &[u8]) -> Vec<u8> {
    keys().seal(&Place::Session(&SessionId::from("place")), &SessionId::from(id), value).to_vec()
}

/// Returns the id and the value of a session that is stored encrypted in this place.
#[cfg(feature = "encryption")]
pub fn open_session(sealed: &[u8]) -> Option<(String, Vec<u8>)> {
    let opened = keys().open(&Place::Session(&SessionId::from("place")), sealed)?;
    Some((opened.id.as_str().to_owned(), opened.value.to_vec()))
}

#[cfg(feature = "encryption")]
fn keys() -> EncryptionKeys {
    EncryptionKeys::new([1; 32], [[2; 32]]).expect("the keys are long enough")
}

/// A stored session that was parsed.
#[derive(Debug)]
pub struct ParsedSession(Record);

impl ParsedSession {
    /// Parses a stored session, verbatim; `None` if it is not one.
    pub fn parse(stored: &[u8]) -> Option<Self> {
        parse(stored, false).map(Self)
    }

    /// Applies the changes from this session to `mine` to `theirs`.
    #[must_use]
    pub fn merged(&self, mine: &Self, theirs: &Self) -> Self {
        Self(merge::merge(&self.0, &mine.0, &theirs.0))
    }

    /// Returns whether a request that read this session, and changed nothing, writes or touches it
    /// or sends its cookie.
    pub fn is_acted_on_after_read(&self, time_left: Duration) -> bool {
        let touch_due = policy::touch_due(time_left, false, DEFAULT_TTL, 0.1);
        let facts = Facts {
            named_by_cookie: true,
            modified: !self.0.attributes.same_as(&self.0.attributes),
            saved: true,
            ever_saved: true,
            expires: !self.0.cookie.expires.is_nullish(),
            touch_due,
            signed_by_old_secret: false,
        };
        let rules = Rules::default();
        policy::store_action(facts, rules) != StoreAction::Nothing
            || policy::sends_cookie(facts, rules)
    }
}

fn parse(stored: &[u8], as_node: bool) -> Option<Record> {
    let reading = if as_node { Reading::AsNode } else { Reading::Verbatim };
    Record::parse(&Bytes::copy_from_slice(stored), reading, NOW_MS).ok().flatten()
}

fn listed(record: &Record) -> Attributes {
    record.attributes.iter().map(|(name, raw)| (name.to_vec(), raw.to_vec())).collect()
}
