//! Why a store cannot be used.

use std::fmt;

/// Why a store or a setting cannot be used, and what to do about it.
///
/// A command that meets one ends with exit code 2 if it is lasting, and with 1 otherwise. A service
/// starts in spite of one that is not lasting, answers 503, and tries again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    what: String,
    advice: String,
    is_lasting: bool,
}

impl Fault {
    /// A fault that stays until somebody changes a setting or the store.
    pub fn lasting(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), is_lasting: true }
    }

    /// A fault that may pass by itself, such as a server that is starting.
    pub fn passing(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into(), is_lasting: false }
    }

    /// Whether it stays until somebody changes something.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// What is wrong, without addresses and secrets.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it; may be empty.
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
