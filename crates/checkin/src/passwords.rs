//! Hashes and checks passwords on threads of their own, a limited number at a time.

mod hasher;
mod policy;

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use argon2::{Algorithm, Params, Version};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

use self::hasher::Hasher;
pub use self::policy::{
    DEFAULT_MIN_CHARS, HIGHEST_MIN_CHARS, LOWEST_MIN_CHARS, Owner, PasswordPolicy,
};
use crate::domain::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordHash, PasswordScheme};

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The number of bytes of a password that bcrypt reads.
const BCRYPT_BYTES: usize = 72;

/// The maximum number of threads, whatever the number of cores: each hash takes 19 MiB, and anybody can
/// make a service compute one.
const MAX_THREADS: usize = 6;

/// The maximum number of callers that wait for a thread. Further callers get [`Busy`]. At about 35
/// ms a hash, the last one waits for about a second.
const QUEUE: usize = 64;

/// Checks that a password may be compared: that it is not empty and not too long. The length is
/// that of its normal form, which is hashed.
///
/// # Errors
///
/// The broken rule.
pub fn plausible(text: String) -> Result<String, String> {
    match normal(&text).len() {
        0 => Err("must not be empty".to_owned()),
        1..=MAX_PASSWORD_BYTES => Ok(text),
        _ => Err(format!("must have at most {MAX_PASSWORD_BYTES} bytes")),
    }
}

/// Checks that a password of an imported account is long enough. It was chosen elsewhere, so the
/// [`PasswordPolicy`] does not apply.
///
/// # Errors
///
/// The broken rule.
pub fn acceptable(text: String) -> Result<String, String> {
    if normal(&text).chars().count() < MIN_PASSWORD_CHARS {
        return Err(format!("must have at least {MIN_PASSWORD_CHARS} characters"));
    }
    plausible(text)
}

/// Returns the form of a password that is hashed: Unicode's normal form C, as NIST SP 800-63B
/// recommends, so that the same password has the same hash from each keyboard.
pub fn normal(password: &str) -> Cow<'_, str> {
    match unicode_normalization::is_nfc(password) {
        true => password.into(),
        false => password.nfc().collect::<String>().into(),
    }
}

/// Hashes and checks passwords. Clones share the threads.
#[derive(Clone)]
pub struct Passwords(Arc<Inner>);

struct Inner {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Counts the callers that got [`Busy`].
    refused: Counter,
    /// The hash that is compared for an unknown address, so that it takes as long as for a known
    /// one. No password matches it.
    nobody: PasswordHash,
}

/// A place among the callers that wait for a thread, until it is dropped.
pub struct QueuePlace {
    passwords: Passwords,
    waiting: OwnedSemaphorePermit,
}

/// The right to hash or check one password now. The work keeps it to the end, even if nobody waits
/// for the result any more.
pub struct HashPermit {
    passwords: Passwords,
    _waiting: OwnedSemaphorePermit,
    _running: OwnedSemaphorePermit,
}

/// Too many callers wait already; the caller should try again later.
#[derive(Debug)]
pub struct Busy;

/// The result of [`HashPermit::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong, or the account does not exist.
    No,
    /// The password is right.
    Yes,
    /// The password is right, and this is its new hash, which should replace the stored one.
    YesRehashed(PasswordHash),
}

impl Passwords {
    /// Uses as many threads as the machine has cores, at most six.
    #[must_use]
    pub fn new() -> Self {
        Self::counting(Counter::default())
    }

    /// Uses as many threads as the machine has cores, at most six, and counts the callers that get [`Busy`].
    #[must_use]
    pub fn counting(refused: Counter) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.min(MAX_THREADS);
        Self(Arc::new(Inner {
            running: Arc::new(Semaphore::new(threads)),
            waiting: Arc::new(Semaphore::new(threads + QUEUE)),
            refused,
            nobody: matched_by_none(),
        }))
    }

    /// Takes a place in the queue. A caller that anybody may be takes it before starting a task for the work. Otherwise, each
    /// request of a flood would have a task before it is refused.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many callers wait already.
    pub fn queue(&self) -> Result<QueuePlace, Busy> {
        match Arc::clone(&self.0.waiting).try_acquire_owned() {
            Ok(waiting) => Ok(QueuePlace { passwords: self.clone(), waiting }),
            Err(_) => {
                self.0.refused.inc();
                Err(Busy)
            }
        }
    }

    /// Takes a place in the queue and waits until a thread is free.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future frees its place in the queue.
    pub async fn turn(&self) -> Result<HashPermit, Busy> {
        self.queue()?.turn().await
    }
}

impl QueuePlace {
    /// Waits until a thread is free.
    ///
    /// # Errors
    ///
    /// None: the threads end with the process.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future frees the place.
    pub async fn turn(self) -> Result<HashPermit, Busy> {
        let Self { passwords, waiting } = self;
        let running = Arc::clone(&passwords.0.running).acquire_owned().await.map_err(|_| Busy)?;
        Ok(HashPermit { passwords, _waiting: waiting, _running: running })
    }
}

impl HashPermit {
    /// Returns the hash of a new password.
    ///
    /// # Errors
    ///
    /// [`Busy`] if the system cannot start a thread.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the hash is still computed to its end.
    pub async fn hash(self, password: String) -> Result<PasswordHash, Busy> {
        self.run(move || hash(&password)).await
    }

    /// Checks a password against the account's hash; `stored` is `None` for an unknown account.
    /// That takes the same time, and so does a hash that cannot be checked.
    ///
    /// # Errors
    ///
    /// As [`hash`](Self::hash).
    ///
    /// # Cancel safety
    ///
    /// As [`hash`](Self::hash).
    pub async fn verify(
        self,
        password: String,
        stored: Option<PasswordHash>,
    ) -> Result<Verified, Busy> {
        let usable = stored.filter(|hash| hash.scheme() != PasswordScheme::Unusable);
        let known = usable.is_some();
        let stored = usable.unwrap_or_else(|| self.passwords.0.nobody.clone());
        let verified = self.run(move || verify(&password, &stored)).await?;
        Ok(if known { verified } else { Verified::No })
    }

    /// Runs on a thread of its own and not on one of the runtime, for whose end a process waits.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let work = move || {
            let _turn = self;
            drop(answer.send(work()));
        };
        thread::Builder::new().name("password".to_owned()).spawn(work).map_err(|_| Busy)?;
        answered.await.map_err(|_| Busy)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the argon2id hash of a password in its [normal] form, with a new salt. It takes about 35
/// ms of one core.
///
/// # Panics
///
/// If the operating system returns no random numbers.
#[must_use]
pub fn hash(password: &str) -> PasswordHash {
    let hash = Hasher
        .hash_password(normal(password).as_bytes())
        .expect("argon2 takes any password up to 4 GiB");
    PasswordHash::parse(hash.to_string()).expect("argon2 writes PHC strings")
}

/// Returns a hash with a result that argon2 gives no known password. It is not computed, which would take as
/// long as a login, and its memory.
fn matched_by_none() -> PasswordHash {
    let (salt, result) = ("A".repeat(22), "A".repeat(43));
    let hash = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${result}");
    PasswordHash::parse(hash).expect("this is a PHC string")
}

/// Checks a password as it was sent, and then in its normal form. If it was sent in that form, it is
/// checked in the decomposed one instead, which other systems may have hashed. So it is checked at most
/// twice, and as often for an unknown account.
fn verify(password: &str, stored: &PasswordHash) -> Verified {
    let normal = normal(password);
    let other = match *normal == *password {
        true => normal.nfd().collect::<String>(),
        false => normal.clone().into_owned(),
    };
    let forms = [password, &other];
    let forms = if other == password { &forms[..1] } else { &forms[..] };
    for &form in forms {
        match fits(form, stored) {
            Fit::No => {}
            Fit::Cut => return Verified::Yes,
            Fit::Strong if form == normal => return Verified::Yes,
            Fit::Strong | Fit::Weak => return Verified::YesRehashed(hash(&normal)),
        }
    }
    Verified::No
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    No,
    /// The password is right as far as its hash can tell. The hash may be that of another password, which
    /// differs only in what the scheme leaves out, so it must not be replaced.
    Cut,
    /// The password is right, and its hash should be replaced.
    Weak,
    Strong,
}

fn fits(password: &str, stored: &PasswordHash) -> Fit {
    match stored.scheme() {
        PasswordScheme::Argon2 => fits_argon2(password, stored),
        PasswordScheme::Bcrypt => match bcrypt::verify(password, stored.as_str()) {
            Ok(true) if is_cut_by_bcrypt(password) => Fit::Cut,
            Ok(true) => Fit::Weak,
            _ => Fit::No,
        },
        PasswordScheme::Unusable => Fit::No,
    }
}

/// Returns whether bcrypt may have the same hash for this password and for another one. It reads 72 bytes,
/// and a shorter password as if it were repeated, with a NUL after each time.
fn is_cut_by_bcrypt(password: &str) -> bool {
    password.len() >= BCRYPT_BYTES || password.contains('\0')
}

fn fits_argon2(password: &str, stored: &PasswordHash) -> Fit {
    let Ok(mut parsed) = phc::PasswordHash::new(stored.as_str()) else {
        return Fit::No;
    };
    // The first version of argon2 did not write its version.
    parsed.version.get_or_insert(Version::V0x10.into());
    // The stored hash determines the algorithm and the parameters.
    if Hasher.verify_password(password.as_bytes(), &parsed).is_err() {
        return Fit::No;
    }
    if is_strong(&parsed) { Fit::Strong } else { Fit::Weak }
}

/// Returns whether a hash need not be replaced.
fn is_strong(hash: &phc::PasswordHash) -> bool {
    hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && Params::try_from(hash)
            .is_ok_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES)
}

impl fmt::Debug for QueuePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueuePlace")
    }
}

impl fmt::Debug for HashPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashPermit")
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

#[cfg(test)]
mod tests {
    use argon2::Argon2;

    use super::*;

    async fn checked(password: &str, stored: Option<PasswordHash>) -> Verified {
        let turn = Passwords::new().turn().await.unwrap();
        turn.verify(password.to_owned(), stored).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_only_its_own_hash() {
        let hash = hash("secret123");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        for (password, verified) in
            [("secret123", Verified::Yes), ("secret124", Verified::No), ("", Verified::No)]
        {
            assert_eq!(checked(password, Some(hash.clone())).await, verified);
        }
    }

    fn foreign(algorithm: Algorithm, version: Version) -> String {
        let params = Params::new(64, 3, 4, None).unwrap();
        Argon2::new(algorithm, version, params).hash_password(b"secret123").unwrap().to_string()
    }

    #[tokio::test]
    async fn hashes_of_other_systems_are_accepted_and_replaced() {
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
            let Verified::YesRehashed(renewed) = checked("secret123", Some(stored.clone())).await
            else {
                panic!("{stored:?} was not renewed")
            };
            assert_eq!(checked("secret123", Some(renewed)).await, Verified::Yes);
            assert_eq!(checked("wrong", Some(stored)).await, Verified::No);
        }
    }

    #[tokio::test]
    async fn a_password_is_the_same_in_each_normal_form() {
        // é, ộ with its marks in either order, Hangul; composed and not.
        for (composed, others) in [
            ("secr\u{e9}t", ["secre\u{301}t", "secr\u{e9}t"]),
            ("\u{1ed9}123456", ["o\u{302}\u{323}123456", "o\u{323}\u{302}123456"]),
            ("\u{ac00}\u{ac01}", ["\u{1100}\u{1161}\u{ac01}", "\u{ac00}\u{ac00}\u{11a8}"]),
        ] {
            for typed in others {
                assert_eq!(checked(typed, Some(hash(composed))).await, Verified::Yes);
                assert_eq!(checked(composed, Some(hash(typed))).await, Verified::Yes);
            }
            let decomposed = composed.nfd().collect::<String>();
            for old in [composed, &decomposed] {
                let old = PasswordHash::parse(bcrypt::hash(old, 4).unwrap()).unwrap();
                for typed in [composed, &decomposed] {
                    let Verified::YesRehashed(renewed) = checked(typed, Some(old.clone())).await
                    else {
                        panic!("an old hash of another form is not renewed")
                    };
                    assert_eq!(checked(composed, Some(renewed)).await, Verified::Yes);
                }
            }
        }
        // A ligature is not equal to its letters.
        assert_eq!(checked("\u{fb01}re1234", Some(hash("fire1234"))).await, Verified::No);
    }

    /// The owner may have chosen a password that differs from the given one after the 72nd byte.
    #[tokio::test]
    async fn a_password_that_bcrypt_cuts_is_not_stored_as_it_was_given() {
        let letters = |number| "x".repeat(number);
        for (chosen, given) in [
            (letters(72), letters(72)),
            (letters(73), letters(72)),
            (letters(72), letters(73)),
            (letters(72) + "owner", letters(72) + "other"),
            ("abc".to_owned(), "abc\0abc".to_owned()),
            (letters(71), letters(71) + "\0"),
        ] {
            let stored = PasswordHash::parse(bcrypt::hash(&chosen, 4).unwrap()).unwrap();
            assert_eq!(checked(&given, Some(stored.clone())).await, Verified::Yes, "{given:?}");
            let renewed = checked(&letters(71), Some(stored)).await;
            let is_whole = chosen == letters(71);
            assert_eq!(matches!(renewed, Verified::YesRehashed(_)), is_whole, "{chosen:?}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_normal_form() {
        assert_eq!(plausible("e\u{301}".repeat(256)), Ok("e\u{301}".repeat(256)));
        assert!(plausible("e\u{301}".repeat(257)).is_err());
        // The normal form is three times as long.
        assert!(plausible("\u{1d160}".repeat(128)).is_err());
        assert!(plausible(String::new()).is_err());
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_permit() {
        let passwords = Passwords::new();
        let (started, begin) = oneshot::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let turn = passwords.turn().await.unwrap();
        let free = passwords.0.running.available_permits();
        let mut work = Box::pin(turn.run(move || {
            let _ = started.send(());
            let _ = ended.recv();
        }));
        tokio::select! {
            _ = &mut work => panic!("it ends only on request"),
            _ = begin => {}
        }
        drop(work);
        assert_eq!(passwords.0.running.available_permits(), free);
        drop(end);
        let cores = u32::try_from(free + 1).unwrap();
        drop(passwords.0.running.acquire_many(cores).await.unwrap());
    }

    #[tokio::test]
    async fn callers_beyond_the_queue_are_refused() {
        let passwords = Passwords::new();
        let free = passwords.0.waiting.available_permits();
        let _all = passwords.0.waiting.acquire_many(u32::try_from(free).unwrap()).await.unwrap();
        assert!(passwords.turn().await.is_err());
    }

    #[tokio::test]
    async fn no_password_matches_an_unknown_account() {
        let nobody = "a password that nobody has";
        assert_eq!(checked(nobody, None).await, Verified::No);
        let costly = bcrypt::hash("hunter2", 4).unwrap().replace("$04$", "$13$");
        for stored in ["", "hunter2", "$1$salt$qjXMvbEw8oaL.CzflDtaK/", &costly] {
            for password in [stored, nobody] {
                let stored = PasswordHash::stored(stored);
                assert_eq!(checked(password, Some(stored)).await, Verified::No);
            }
        }
    }
}
