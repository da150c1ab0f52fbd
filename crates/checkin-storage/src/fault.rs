//! Why a store cannot be used.

use std::fmt;

/// Why a store or a setting cannot be used, and what to do about it.
///
/// A fault ends a command with exit code 2 if it is lasting, and with 1 otherwise. If the fault is not
/// lasting, a service starts anyway, responds with 503, and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    advice: String,
    is_lasting: bool,
}

impl Fault {
    /// Creates a fault that stays until somebody changes a setting or the store.
    pub fn lasting(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), is_lasting: true }
    }

    /// Creates a fault that may pass by itself, such as a server that is starting.
    pub fn passing(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), is_lasting: false }
    }

    /// Returns whether it stays until somebody changes a setting or the store.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// Returns what is wrong, without addresses and secrets.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns what to do about it; may be empty.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, ": {advice}"),
        }
    }
}

impl std::error::Error for Fault {}
