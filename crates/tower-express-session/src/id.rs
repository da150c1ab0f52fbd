//! Session ids, in the form that uid-safe generates for express-session.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind};

/// The number of random bytes in an id: 192 bits, as in `uid(24)` of express-session.
const RANDOM_BYTES: usize = 24;

/// The number of bytes in a handle: enough to distinguish all sessions.
const HANDLE_BYTES: usize = 16;

/// The id of a session. It is a secret, because it gives access to the session.
///
/// An id that this crate generates has 32 characters of `A-Z a-z 0-9 - _`. An id that an Express
/// service generates with its own `genid` may be any text. `Debug` shows only the first characters,
/// and there is no `Display`, so that an id is not logged by accident.
///
/// ```
/// use tower_express_session::SessionId;
///
/// let id = SessionId::from("Qm3F0bWn5pE2sT8vJ1xYkA7cR9dL4hZg");
/// assert_eq!(format!("{id:?}"), "SessionId(Qm3F…)");
/// assert_eq!(id.handle().len(), 22); // may be shown to users
/// assert_ne!(SessionId::generate()?, SessionId::generate()?);
/// # Ok::<(), tower_express_session::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// Generates an id with random numbers of the operating system.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Random`] if the operating system returns no random numbers.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|cause| Error::new(ErrorKind::Random, cause))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes).into()))
    }

    /// Returns a public name of the session, always the same for one id. The id cannot be computed
    /// from it. It has 22 characters of `A-Z a-z 0-9 - _`, from the id's SHA-256.
    #[must_use]
    pub fn handle(&self) -> String {
        URL_SAFE_NO_PAD.encode(&Sha256::digest(self.as_str())[..HANDLE_BYTES])
    }

    /// Returns the id itself. Never log it.
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
    fn generated_ids_are_unique_and_have_the_form_of_uid_safe() {
        let id = SessionId::generate().unwrap();
        assert_eq!(id.as_str().len(), 32);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        assert_ne!(id, SessionId::generate().unwrap());
    }
}
