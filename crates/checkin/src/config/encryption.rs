//! The keys that encrypt stored sessions.

use std::fmt;
use std::path::Path;

use tower_express_session::ConfigError;
use tower_express_session::store::encrypted::EncryptionKeys;

use super::secret_file;

/// The keys that encrypt stored sessions, as they are in their file: the first line hashes the ids, the
/// second one encrypts, and it and all others decrypt.
#[derive(Clone)]
pub struct SessionEncryption(Vec<String>);

impl SessionEncryption {
    /// Reads the keys from a file.
    ///
    /// # Errors
    ///
    /// The broken rule.
    pub fn read(path: &Path) -> Result<Self, String> {
        let lines = Self(secret_file::lines(path)?);
        match lines.keys() {
            Ok(_) => Ok(lines),
            Err(_) => {
                Err("must hold at least two lines of at least 32 bytes each: the key that hashes \
                           session ids, and the keys that encrypt sessions"
                    .to_owned())
            }
        }
    }

    /// Returns the keys.
    ///
    /// # Errors
    ///
    /// Never after [`read`](Self::read).
    pub fn keys(&self) -> Result<EncryptionKeys, ConfigError> {
        let (id_key, keys) = self.split();
        EncryptionKeys::new(id_key, keys)
    }

    /// Makes a running service use these keys.
    ///
    /// # Errors
    ///
    /// If the key that hashes the ids is another one.
    pub fn replace(&self, keys: &EncryptionKeys) -> Result<(), ConfigError> {
        let (id_key, new) = self.split();
        keys.replace(id_key, new)
    }

    fn split(&self) -> (&str, &[String]) {
        self.0.split_first().map_or(("", &[]), |(id_key, keys)| (id_key, keys))
    }
}

impl fmt::Debug for SessionEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionEncryption({})", self.0.len())
    }
}
