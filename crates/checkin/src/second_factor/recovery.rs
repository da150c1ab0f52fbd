//! Recovery codes: each opens the account once when the authenticator is lost.

use sha2::{Digest, Sha256};
use totp_rs::Secret;

/// The number of codes that are made at once.
pub(crate) const RECOVERY_CODES: usize = 10;

/// 120 bits: nobody guesses them, also not with a copy of their fast hashes, for which OWASP ASVS demands 112.
const BYTES: usize = 15;

/// The length of a code in base32.
const CHARS: usize = BYTES * 8 / 5;

/// A recovery code in upper case, without hyphens.
pub(crate) struct RecoveryCode(String);

impl RecoveryCode {
    /// Makes one. Returns `None` if the system has no random numbers.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).ok()?;
        Some(Self(Secret::from(bytes).to_base32()))
    }

    /// Reads one that a person typed, without its hyphens.
    pub(super) fn typed(text: &str) -> Option<Self> {
        let code = text.to_ascii_uppercase();
        let is_code = code.len() == CHARS
            && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
        is_code.then_some(Self(code))
    }

    /// Returns the code as it is shown: `abcd-efgh-ijkl-mnop-qrst-uvwx`.
    pub(super) fn shown(&self) -> String {
        let lower = self.0.to_ascii_lowercase();
        let groups: Vec<&str> = (0..CHARS).step_by(4).map(|at| &lower[at..at + 4]).collect();
        groups.join("-")
    }

    /// Returns what is stored of it.
    pub(super) fn hash(&self) -> String {
        Sha256::digest(&self.0).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
