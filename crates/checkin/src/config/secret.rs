//! The secrets that sign session cookies.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::secret_file;

/// The minimum length of a session secret. A shorter one could be guessed.
pub const MIN_SECRET_BYTES: usize = 32;

/// The secrets that sign session cookies, in order. The first one signs new cookies.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(Vec<String>);

impl SessionSecret {
    /// Returns the secrets in order.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether one of the secrets is so short that it could be guessed.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.0.iter().any(|secret| secret.len() < MIN_SECRET_BYTES)
    }

    /// Reads the secrets from a file of one line, without the end of the line.
    ///
    /// # Errors
    ///
    /// The broken rule.
    pub fn read(path: &Path) -> Result<Self, String> {
        secret_file::line(path)?.parse()
    }
}

impl FromStr for SessionSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let secrets: Vec<String> = text.split(',').map(str::to_owned).collect();
        if secrets.iter().any(|secret| secret.trim().is_empty()) {
            return Err("must not be empty, and must not contain an empty secret".to_owned());
        }
        Ok(Self(secrets))
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSecret({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_split_and_not_shown() {
        let secret: SessionSecret = "new,old".parse().unwrap();
        assert_eq!(secret.as_slice(), ["new", "old"]);
        assert_eq!(format!("{secret:?}"), "SessionSecret(2)");
        assert!("a,,b".parse::<SessionSecret>().is_err());
        assert!("".parse::<SessionSecret>().is_err());
    }
}
