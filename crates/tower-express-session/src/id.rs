//! Session ids, as uid-safe makes them for express-session.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind};

/// The random bytes in an id: 192 bits, as `uid(24)` of express-session.
const RANDOM_BYTES: usize = 24;

/// The bytes of a handle: enough to tell all sessions apart.
const HANDLE_BYTES: usize = 16;

/// The name of one session, and the secret that opens it.
///
/// An id that this crate makes has 32 characters of `A-Z a-z 0-9 - _`; an id that an Express
/// service made with its own `genid` may be any text. Whoever knows an id and the signing secret
/// owns the session, so `Debug` shows a few characters only and there is no `Display`.
///
/// ```
/// use tower_express_session::SessionId;
///
/// let id = SessionId::from("Qm3F0bWn5pE2sT8vJ1xYkA7cR9dL4hZg");
/// assert_eq!(format!("{id:?}"), "SessionId(Qm3F…)");
/// assert_eq!(id.handle().len(), 22); // may be shown
/// assert_ne!(SessionId::generate()?, SessionId::generate()?);
/// # Ok::<(), tower_express_session::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Makes a fresh id from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Random`] when the operating system has no random numbers to give.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|cause| Error::new(ErrorKind::Random, cause))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// A name for the session that may be shown: the same for an id at any time, and nobody can
    /// compute the id from it. 22 characters of `A-Z a-z 0-9 - _`, of the id's SHA-256.
    #[must_use]
    pub fn handle(&self) -> String {
        URL_SAFE_NO_PAD.encode(&Sha256::digest(self.as_str())[..HANDLE_BYTES])
    }

    /// The id itself. Never log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SessionId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(4).collect();
        write!(f, "SessionId({shown}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_look_like_those_of_uid_safe_and_differ() {
        let id = SessionId::generate().unwrap();
        assert_eq!(id.as_str().len(), 32);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert_ne!(id, SessionId::generate().unwrap());
    }
}
