//! Hashes passwords and checks them, off the async threads and a bounded number at a time.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::domain::{PasswordHash, PasswordScheme};

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// So many callers may wait for a thread; each more is told to come back later. At some 35 ms a
/// hash the last one waits for about a second.
const QUEUE: usize = 64;

/// The longest password that is hashed, in bytes.
pub const MAX_BYTES: usize = 512;

/// A password that may be compared: neither empty nor endless.
///
/// # Errors
///
/// The rule that it breaks.
pub fn plausible(text: String) -> Result<String, &'static str> {
    match text.len() {
        0 => Err("is not empty"),
        1..=MAX_BYTES => Ok(text),
        _ => Err("is too long"),
    }
}

/// Hashes and checks passwords; clones share the threads.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    running: Semaphore,
    waiting: Semaphore,
    /// The hash of a password that nobody has: what is compared for an unknown address, so that it
    /// takes as long as a known one.
    nobody: PasswordHash,
}

/// Too many people log in at once; come back later.
#[derive(Debug)]
pub struct Busy;

/// The answer to [`Passwords::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong, or there is no such account.
    No,
    /// The password is right.
    Yes,
    /// The password is right, and this is its hash as it should be stored today.
    YesRehashed(PasswordHash),
}

impl Passwords {
    /// As many threads as the machine has cores.
    #[must_use]
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Inner {
            running: Semaphore::new(cores),
            waiting: Semaphore::new(cores + QUEUE),
            nobody: hash("a password that nobody has"),
        }))
    }

    /// The hash of a new password.
    ///
    /// # Errors
    ///
    /// [`Busy`] when too many wait already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn hash(&self, password: String) -> Result<PasswordHash, Busy> {
        self.run(move || hash(&password)).await
    }

    /// Whether the password is the account's; `stored` is `None` for an unknown account. That takes
    /// the same time, and so does a hash that cannot be checked.
    ///
    /// # Errors
    ///
    /// [`Busy`] when too many wait already.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn verify(
        &self,
        password: String,
        stored: Option<PasswordHash>,
    ) -> Result<Verified, Busy> {
        let usable = stored.filter(|hash| hash.scheme() != PasswordScheme::Unusable);
        let known = usable.is_some();
        let stored = usable.unwrap_or_else(|| self.0.nobody.clone());
        let verified = self.run(move || verify(&password, &stored)).await?;
        Ok(if known { verified } else { Verified::No })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _waiting = self.0.waiting.try_acquire().map_err(|_| Busy)?;
        let _running = self.0.running.acquire().await.map_err(|_| Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The argon2id hash of a password, with a fresh salt. Takes some 35 ms of one core.
///
/// # Panics
///
/// When the operating system has no random numbers to give.
#[must_use]
pub fn hash(password: &str) -> PasswordHash {
    let hash =
        argon2().hash_password(password.as_bytes()).expect("argon2 takes any password up to 4 GiB");
    PasswordHash::parse(hash.to_string()).expect("argon2 writes PHC strings")
}

fn verify(password: &str, stored: &PasswordHash) -> Verified {
    match stored.scheme() {
        PasswordScheme::Argon2 => verify_argon2(password, stored),
        // Hashes that came from elsewhere, where bcrypt cut passwords off after 72 bytes.
        PasswordScheme::Bcrypt => match bcrypt::verify(password, stored.as_str()) {
            Ok(true) => Verified::YesRehashed(hash(password)),
            _ => Verified::No,
        },
        PasswordScheme::Unusable => Verified::No,
    }
}

fn verify_argon2(password: &str, stored: &PasswordHash) -> Verified {
    let Ok(mut parsed) = phc::PasswordHash::new(stored.as_str()) else {
        return Verified::No;
    };
    // The first version of argon2 did not write which one it is.
    parsed.version.get_or_insert(Version::V0x10.into());
    // The kind and the parameters of the check come out of the stored hash.
    if argon2().verify_password(password.as_bytes(), &parsed).is_err() {
        return Verified::No;
    }
    if is_strong(&parsed) { Verified::Yes } else { Verified::YesRehashed(hash(password)) }
}

/// Whether a hash need not be renewed.
fn is_strong(hash: &phc::PasswordHash) -> bool {
    hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && Params::try_from(hash)
            .is_ok_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES)
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("secret123".to_owned()).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        let verify = async |password: &str, stored: &PasswordHash| {
            passwords.verify(password.to_owned(), Some(stored.clone())).await.unwrap()
        };
        assert_eq!(verify("secret123", &hash).await, Verified::Yes);
        assert_eq!(verify("secret124", &hash).await, Verified::No);
        assert_eq!(verify("", &hash).await, Verified::No);
    }

    fn foreign(algorithm: Algorithm, version: Version) -> String {
        let params = Params::new(64, 3, 4, None).unwrap();
        Argon2::new(algorithm, version, params).hash_password(b"secret123").unwrap().to_string()
    }

    #[tokio::test]
    async fn hashes_from_elsewhere_are_taken_and_renewed() {
        let passwords = Passwords::new();
        for stored in [
            bcrypt::hash("secret123", 5).unwrap(),
            bcrypt::hash("secret123", 5).unwrap().replace("$2b$", "$2a$"),
            bcrypt::hash("secret123", 5).unwrap().replace("$2b$", "$2y$"),
            foreign(Algorithm::Argon2id, Version::V0x13),
            foreign(Algorithm::Argon2id, Version::V0x10),
            foreign(Algorithm::Argon2id, Version::V0x10).replace("$v=16", ""),
            foreign(Algorithm::Argon2i, Version::V0x13),
            foreign(Algorithm::Argon2d, Version::V0x13),
            foreign(Algorithm::Argon2id, Version::V0x13).replace("t=3,p=4", "p=4,t=3"),
        ] {
            let stored = PasswordHash::parse(stored).unwrap();
            let Verified::YesRehashed(renewed) =
                passwords.verify("secret123".to_owned(), Some(stored.clone())).await.unwrap()
            else {
                panic!("{stored:?} was not renewed")
            };
            assert_eq!(
                passwords.verify("secret123".to_owned(), Some(renewed)).await.unwrap(),
                Verified::Yes
            );
            assert_eq!(
                passwords.verify("wrong".to_owned(), Some(stored)).await.unwrap(),
                Verified::No
            );
        }
    }

    #[tokio::test]
    async fn nobody_logs_in_without_an_account() {
        let passwords = Passwords::new();
        let nobody = "a password that nobody has".to_owned();
        assert_eq!(passwords.verify(nobody.clone(), None).await.unwrap(), Verified::No);
        for stored in ["", "hunter2", "$1$salt$qjXMvbEw8oaL.CzflDtaK/"] {
            for password in [stored, &nobody] {
                let stored = Some(PasswordHash::stored(stored));
                let verified = passwords.verify(password.to_owned(), stored).await.unwrap();
                assert_eq!(verified, Verified::No);
            }
        }
    }
}
