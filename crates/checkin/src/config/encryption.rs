//! The keys that encrypt stored sessions.

use std::fmt;
use std::path::Path;

use tower_express_session::ConfigError;
use tower_express_session::store::encrypted::EncryptionKeys;

use super::secret_file;

/// The minimum length of a key.
const MIN_KEY_BYTES: usize = 32;

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
        let keys = Self(secret_file::lines(path)?);
        keys.check()?;
        Ok(keys)
    }

    /// Checks the rules of [`EncryptionKeys`], and that no key stands there twice. An error names the line.
    fn check(&self) -> Result<(), String> {
        let Self(lines) = self;
        if lines.len() < 2 {
            return Err(
                "must hold at least two lines of at least 32 bytes each: the key that hashes \
                        session ids, and the keys that encrypt sessions"
                    .to_owned(),
            );
        }
        for (at, line) in lines.iter().enumerate() {
            if line.len() < MIN_KEY_BYTES {
                return Err(format!("line {} must have at least {MIN_KEY_BYTES} bytes", at + 1));
            }
            if let Some(before) = lines[..at].iter().position(|other| other == line) {
                return Err(format!("line {} must not be the same as line {}", at + 1, before + 1));
            }
        }
        self.keys().map(drop).map_err(|error| error.to_string())
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
    /// If the key that hashes the ids is another one. The error is the broken rule, with the line.
    pub fn replace(&self, keys: &EncryptionKeys) -> Result<(), String> {
        let (id_key, new) = self.split();
        // All other rules were checked when the file was read.
        keys.replace(id_key, new).map_err(|_| {
            "line 1 must stay the same while the service runs, because sessions are found by it"
                .to_owned()
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let key = |letter: &str| letter.repeat(32);
        let (a, b, c) = (key("a"), key("b"), key("c"));
        for (text, rule) in [
            (format!("{a}\n{b}\n{c}\n"), None),
            (a.clone(), Some("must hold at least two lines")),
            (format!("{a}\n{a}\n"), Some("line 2 must not be the same as line 1")),
            (format!("{a}\n{b}\n{c}\n{b}"), Some("line 4 must not be the same as line 2")),
            (format!("{a}\n{b}\nshort"), Some("line 3 must have at least 32 bytes")),
            (format!("\u{feff}{a}\n{b}"), Some("must not begin with a byte order mark")),
        ] {
            std::fs::write(&path, text).unwrap();
            match (SessionEncryption::read(&path), rule) {
                (Ok(_), None) => {}
                (Err(said), Some(rule)) => assert!(said.starts_with(rule), "{said}"),
                (read, rule) => panic!("{read:?} {rule:?}"),
            }
        }
    }
}
