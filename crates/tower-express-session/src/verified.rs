//! Remembers the signed values that were verified, so that a browser's cookie is verified once and not
//! with each of its requests.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use ctutils::CtEq as _;

use crate::signature::Unsigned;

/// The number of places. Each holds one value, the last one whose hash chose it.
const SLOTS: usize = 4096;

/// The maximum length of a remembered value in bytes. A cookie with an id of express-session has
/// about 85; an id of another form may be longer.
const MAX_BYTES: usize = 256;

/// Values that one of the secrets has signed, with the id in each.
///
/// Only verified values are kept, so the public cannot fill it, and the memory is limited in any
/// case. A value is compared in constant time, and the key of the hash is random and secret. So the
/// time of an answer does not help to guess a value.
pub(crate) struct Verified {
    hasher: RandomState,
    // Each locked for a few instructions, never across an await.
    slots: Box<[Mutex<Option<Entry>>]>,
}

struct Entry {
    /// The value as the client sent it, encoded.
    sent: Box<str>,
    unsigned: Unsigned,
}

impl Verified {
    pub(crate) fn new() -> Self {
        let slots = std::iter::repeat_with(Mutex::default).take(SLOTS).collect();
        Self { hasher: RandomState::new(), slots }
    }

    /// Returns the id in a value as the client sent it. Calls `verify` if the value is not
    /// remembered, and remembers it if it is valid.
    pub(crate) fn get_or_verify(
        &self,
        sent: &str,
        verify: impl FnOnce() -> Option<Unsigned>,
    ) -> Option<Unsigned> {
        if sent.len() > MAX_BYTES {
            return verify();
        }
        let hash = usize::try_from(self.hasher.hash_one(sent) % SLOTS as u64).ok()?;
        // No code under the lock panics half-way.
        let slot = || self.slots[hash].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = &*slot()
            && entry.sent.as_bytes().ct_eq(sent.as_bytes()).to_bool()
        {
            return Some(entry.unsigned.clone());
        }
        let unsigned = verify()?;
        *slot() = Some(Entry { sent: sent.into(), unsigned: unsigned.clone() });
        Some(unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn unsigned(id: &str) -> Option<Unsigned> {
        Some(Unsigned { id: SessionId::from(id), by_old_secret: false })
    }

    #[test]
    fn a_valid_value_is_verified_once_and_an_invalid_one_each_time() {
        let verified = Verified::new();
        assert_eq!(verified.get_or_verify("s%3Aa.b", || unsigned("a")), unsigned("a"));
        let again = verified.get_or_verify("s%3Aa.b", || unreachable!("it is remembered"));
        assert_eq!(again, unsigned("a"));
        assert_eq!(verified.get_or_verify("s%3Aa.c", || None), None);
        assert_eq!(verified.get_or_verify("s%3Aa.c", || unsigned("c")), unsigned("c"));
    }

    #[test]
    fn long_values_are_not_remembered() {
        let verified = Verified::new();
        let long = "x".repeat(MAX_BYTES + 1);
        assert_eq!(verified.get_or_verify(&long, || unsigned("a")), unsigned("a"));
        assert_eq!(verified.get_or_verify(&long, || None), None);
    }

    #[test]
    fn each_of_many_values_gets_its_own_id() {
        let verified = Verified::new();
        for _ in 0..2 {
            for n in 0..2 * SLOTS {
                let value = n.to_string();
                assert_eq!(verified.get_or_verify(&value, || unsigned(&value)), unsigned(&value));
            }
        }
    }
}
