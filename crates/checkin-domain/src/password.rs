//! A stored password, which is always a hash.

use std::error::Error;
use std::fmt;

use crate::foreign_hash::looks_like_hash;
use crate::number::decimal;

/// The hash of a password, as it is stored. Reading one costs nothing: it is examined only when somebody
/// asks for its [scheme](Self::scheme).
///
/// `Debug` prints only the scheme, so that no hash is logged. There is no `Display` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
}

/// The scheme with which a password was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordScheme {
    /// A PHC string of argon2id, argon2i or argon2d.
    Argon2,
    /// Written by the Express services; `$2a$`, `$2b$` and `$2y$` are checked alike.
    Bcrypt,
    /// A value that a login cannot verify, or that costs too much to verify: no password matches it.
    Unusable,
}

/// Minimum number of characters of the password of an imported account.
pub const MIN_PASSWORD_CHARS: usize = 8;

/// Maximum length of a password, in bytes of Unicode's normal form C.
pub const MAX_PASSWORD_BYTES: usize = 512;

// The maximum cost of verifying a password: for argon2 some seconds of one core, and memory for as many at
// the same time as there are cores. RFC 9106 recommends 64 MiB and three passes where memory is short. For
// bcrypt about a third of a second, so that each failed login can take the same time.
const MAX_ARGON2_KIB: u64 = 256 << 10;
const MAX_ARGON2_PASSES: u64 = 16;
const MAX_ARGON2_LANES: u64 = 16;
const MAX_ARGON2_WORK_KIB: u64 = 1 << 20;
const MAX_BCRYPT_COST: u64 = 12;

impl PasswordHash {
    /// Reads a hash. It is recognised by its complete form, not only by its first letters, because a
    /// password may begin with a dollar sign.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError`] names the kind of the text.
    pub fn parse(text: impl Into<String>) -> Result<Self, PasswordHashError> {
        let text = text.into();
        match recognised(&text) {
            Some(Ok(_)) => Ok(Self { text }),
            Some(Err(too_costly)) => Err(too_costly),
            None if looks_like_hash(&text) => Err(PasswordHashError::Unknown),
            None => Err(PasswordHashError::NoHash),
        }
    }

    /// Reads a stored value, whichever program wrote it. If [`parse`](Self::parse) would refuse it, no
    /// password matches it.
    pub fn stored(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the scheme, for which the text is parsed.
    pub fn scheme(&self) -> PasswordScheme {
        recognised(&self.text).and_then(Result::ok).unwrap_or(PasswordScheme::Unusable)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.scheme())
    }
}

type Recognised = Option<Result<PasswordScheme, PasswordHashError>>;

fn recognised(text: &str) -> Recognised {
    argon2(text).or_else(|| bcrypt(text))
}

/// Reads a PHC string of argon2 with everything that a login needs. A `keyid` among the parameters
/// refers to a key that we do not have; `data` is additional data of the hash.
fn argon2(text: &str) -> Recognised {
    let hash = phc::PasswordHash::new(text).ok()?;
    let number = |name: &str| decimal(hash.params.get_str(name)?);
    let names: Vec<_> = hash.params.iter().map(|(name, _)| name).collect();
    let is_known = matches!(hash.algorithm.as_str(), "argon2id" | "argon2i" | "argon2d")
        && matches!(hash.version, None | Some(16 | 19))
        && hash.salt.is_some()
        && hash.hash.is_some()
        && names.iter().all(|name| matches!(name.as_str(), "m" | "t" | "p" | "data"))
        && !names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    let (memory_kib, passes, lanes) = (number("m")?, number("t")?, number("p")?);
    let is_possible = passes >= 1 && lanes >= 1 && memory_kib >= lanes.saturating_mul(8);
    let costs = Argon2Costs { memory_kib, passes, lanes };
    (is_known && is_possible).then(|| costs.check().map(|()| PasswordScheme::Argon2))
}

struct Argon2Costs {
    memory_kib: u64,
    passes: u64,
    lanes: u64,
}

impl Argon2Costs {
    fn check(&self) -> Result<(), PasswordHashError> {
        let is_cheap = self.memory_kib <= MAX_ARGON2_KIB
            && self.passes <= MAX_ARGON2_PASSES
            && self.lanes <= MAX_ARGON2_LANES
            && self.memory_kib * self.passes <= MAX_ARGON2_WORK_KIB;
        if is_cheap { Ok(()) } else { Err(PasswordHashError::CostlyArgon2) }
    }
}

/// `$2b$`, a cost from 04 to 31, `$`, then 53 characters of bcrypt's own base64.
fn bcrypt(text: &str) -> Recognised {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| text.strip_prefix(version));
    let (cost, hash) = rest?.split_once('$')?;
    let is_known = cost.len() == 2
        && cost.bytes().all(|b| b.is_ascii_digit())
        && ("04"..="31").contains(&cost)
        && hash.len() == 53
        && hash.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    let cost: u64 = cost.parse().ok().filter(|_| is_known)?;
    Some(match cost <= MAX_BCRYPT_COST {
        true => Ok(PasswordScheme::Bcrypt),
        false => Err(PasswordHashError::CostlyBcrypt),
    })
}

/// The error of a text that is not a hash that a login can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordHashError {
    /// It does not look like a hash; it may be a password.
    NoHash,
    /// It looks like a hash of an unsupported kind, or like the mark of a locked account.
    Unknown,
    /// It is an argon2 hash that costs too much to verify.
    CostlyArgon2,
    /// It is a bcrypt hash that costs too much to verify.
    CostlyBcrypt,
}

impl fmt::Display for PasswordHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHash => f.write_str("must be an argon2 or bcrypt hash"),
            Self::Unknown => f.write_str(
                "must be a password, or its argon2 or bcrypt hash; it looks like a hash of another \
                 kind, or like the mark of a locked account (load such an account with a new password; if this is a password, load another \
                 one and set it with `checkin users passwd`)",
            ),
            Self::CostlyArgon2 => write!(
                f,
                "must be an argon2 hash with m of at most {MAX_ARGON2_KIB}, t and p of at most \
                 {MAX_ARGON2_PASSES}, and m times t of at most {MAX_ARGON2_WORK_KIB}"
            ),
            Self::CostlyBcrypt => {
                write!(f, "must be a bcrypt hash of a cost of at most {MAX_BCRYPT_COST}")
            }
        }
    }
}

impl Error for PasswordHashError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn argon2(kind: &str, middle: &str) -> String {
        format!("$argon2{kind}${middle}$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo")
    }

    fn bcrypt(start: &str) -> String {
        format!("{start}{}", "./Az09abc".repeat(6).split_at(53).0)
    }

    #[test]
    fn both_schemes_are_recognised() {
        for middle in [
            "v=19$m=19456,t=2,p=1",
            "m=65536,t=3,p=4",
            "v=16$m=65536,t=3,p=4",
            "v=19$m=65536,p=4,t=3",
            "v=19$t=3,m=65536,p=4",
            "v=19$p=4,t=3,m=65536",
            "v=19$m=65536,t=3,p=4,data=ZGF0YQ",
            "v=19$data=,m=262144,t=4,p=16",
            "v=19$m=8,t=1,p=1",
        ] {
            for kind in ["id", "i", "d"] {
                let hash = PasswordHash::parse(argon2(kind, middle)).unwrap();
                assert_eq!(hash.scheme(), PasswordScheme::Argon2);
            }
        }
        for start in ["$2a$05$", "$2b$04$", "$2y$12$"] {
            let text = bcrypt(start);
            let hash = PasswordHash::parse(text.clone()).unwrap();
            assert_eq!((hash.scheme(), hash.as_str()), (PasswordScheme::Bcrypt, &*text));
        }
    }

    #[test]
    fn unknown_hashes_are_never_verified() {
        use PasswordHashError::{CostlyArgon2, CostlyBcrypt, NoHash, Unknown};
        let id = |middle: &str| argon2("id", middle);
        for (text, error) in [
            (String::new(), NoHash),
            ("secret123".into(), NoHash),
            ("$ecret".into(), NoHash),
            ("$2b$".into(), Unknown),
            ("$argon2id$".into(), Unknown),
            (bcrypt("$2x$05$"), Unknown),
            (bcrypt("$2b$5$"), Unknown),
            (bcrypt("$2b$03$"), Unknown),
            (bcrypt("$2b$32$"), Unknown),
            (bcrypt("$2b$05$") + "a", Unknown),
            (bcrypt("$2b$05$") + "\n", Unknown),
            (bcrypt("$2b$05$").replace('A', "+"), Unknown),
            (bcrypt("$2b$13$"), CostlyBcrypt),
            (bcrypt("$2y$31$"), CostlyBcrypt),
            (id("v=x$m=64,t=1,p=1"), Unknown),
            (id("v=20$m=64,t=1,p=1"), Unknown),
            (id("v=19$m=64,t=1"), Unknown),
            (id("v=19$m=64,t=1,p=1,x=1"), Unknown),
            (id("v=19$m=64,t=1,p=1,p=1"), Unknown),
            (id("v=19$m=64,t=1,p=1,keyid=a2V5"), Unknown),
            (id("v=19$m=64,t=0,p=1"), Unknown),
            (id("v=19$m=64,t=1,p=9"), Unknown),
            (id("v=19$m=064,t=1,p=1"), Unknown),
            (id("v=19$m=64,t=1,p=1") + "=", Unknown),
            (id("v=19$m=64,t=1,p=1") + "$more", Unknown),
            (argon2("x", "v=19$m=64,t=1,p=1"), Unknown),
            (id("v=19$m=262145,t=1,p=1"), CostlyArgon2),
            (id("v=19$m=1024,t=17,p=1"), CostlyArgon2),
            (id("v=19$m=1024,t=1,p=17"), CostlyArgon2),
            (id("v=19$m=262144,t=5,p=1"), CostlyArgon2),
            (id("v=19$m=18446744073709551615,t=2,p=1"), CostlyArgon2),
        ] {
            assert_eq!(PasswordHash::parse(text.clone()), Err(error), "{text:?}");
            let stored = PasswordHash::stored(text.clone());
            assert_eq!((stored.scheme(), stored.as_str()), (PasswordScheme::Unusable, &*text));
        }
    }

    #[test]
    fn debug_shows_the_scheme_only() {
        let hash = PasswordHash::parse(argon2("id", "v=19$m=64,t=1,p=1")).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(Argon2)");
    }
}
