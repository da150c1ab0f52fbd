//! A stored password: only ever its hash.

use std::error::Error;
use std::fmt;

/// A hash that login can check: a PHC string of argon2id, or bcrypt.
///
/// `Debug` names the scheme and nothing else, so that no hash gets into a log; there is no
/// `Display` on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    scheme: PasswordScheme,
}

/// How a password was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordScheme {
    Argon2id,
    /// Written by the Express services; `$2a$`, `$2b$` and `$2y$` are checked alike.
    Bcrypt,
}

impl PasswordHash {
    /// Recognises a hash by its whole form, not by its first letters only: a password may well
    /// begin with a dollar sign.
    ///
    /// # Errors
    ///
    /// [`PasswordHashError`] if it is neither argon2id nor bcrypt.
    pub fn parse(text: impl Into<String>) -> Result<Self, PasswordHashError> {
        let text = text.into();
        let scheme = if is_argon2id(&text) {
            PasswordScheme::Argon2id
        } else if is_bcrypt(&text) {
            PasswordScheme::Bcrypt
        } else {
            return Err(PasswordHashError);
        };
        Ok(Self { text, scheme })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn scheme(&self) -> PasswordScheme {
        self.scheme
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.scheme)
    }
}

/// `$argon2id$[v=N$]m=N,t=N,p=N$salt$hash`, the latter two in base64 without padding.
fn is_argon2id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("$argon2id$") else {
        return false;
    };
    let parts: Vec<&str> = rest.split('$').collect();
    let (version, parts) = match parts.as_slice() {
        [version, parts @ ..] if parts.len() == 3 => (Some(*version), parts),
        parts => (None, parts),
    };
    let [costs, salt, hash] = parts else {
        return false;
    };
    version.is_none_or(|version| is_number(version, "v="))
        && is_costs(costs)
        && is_base64(salt, 11..=64)
        && is_base64(hash, 16..=86)
}

fn is_costs(text: &str) -> bool {
    let mut costs = text.split(',');
    ["m=", "t=", "p="].iter().all(|name| costs.next().is_some_and(|cost| is_number(cost, name)))
        && costs.next().is_none()
}

fn is_number(text: &str, name: &str) -> bool {
    text.strip_prefix(name).and_then(super::number::decimal).is_some_and(|n| n <= u32::MAX.into())
}

fn is_base64(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

/// `$2b$`, a cost from 04 to 31, `$`, then 53 characters of bcrypt's own base64.
fn is_bcrypt(text: &str) -> bool {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| text.strip_prefix(version));
    let Some((cost, hash)) = rest.and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    cost.len() == 2
        && cost.bytes().all(|b| b.is_ascii_digit())
        && ("04"..="31").contains(&cost)
        && hash.len() == 53
        && hash.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}

/// The text is no hash of a scheme that login can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordHashError;

impl fmt::Display for PasswordHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an argon2id PHC string or a bcrypt hash")
    }
}

impl Error for PasswordHashError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn argon2id(middle: &str) -> String {
        format!("$argon2id${middle}$c2FsdHNhbHRzYWx0c2E$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo")
    }

    #[test]
    fn both_schemes_are_recognised() {
        for middle in ["v=19$m=19456,t=2,p=1", "m=65536,t=3,p=4"] {
            let hash = PasswordHash::parse(argon2id(middle)).unwrap();
            assert_eq!(hash.scheme(), PasswordScheme::Argon2id);
        }
        for version in ["2a", "2b", "2y"] {
            let text = format!("${version}$05${}", "./Az09abc".repeat(6).split_at(53).0);
            let hash = PasswordHash::parse(text.clone()).unwrap();
            assert_eq!((hash.scheme(), hash.as_str()), (PasswordScheme::Bcrypt, &*text));
        }
    }

    #[test]
    fn a_password_that_looks_a_little_like_a_hash_is_none() {
        let long = "a".repeat(53);
        for text in [
            String::new(),
            "secret123".into(),
            "$2b$".into(),
            "$argon2id$".into(),
            format!("$2x$05${long}"),
            format!("$2b$5${long}"),
            format!("$2b$03${long}"),
            format!("$2b$32${long}"),
            format!("$2b$05${}", &long[1..]),
            format!("$2b$05${}+", &long[1..]),
            argon2id("v=x$m=1,t=1,p=1"),
            argon2id("v=19$t=1,m=1,p=1"),
            argon2id("v=19$m=1,t=1"),
            argon2id("v=19$m=1,t=1,p=1,x=1"),
            argon2id("v=19$m=4294967296,t=1,p=1"),
            argon2id("v=19$m=1,t=1,p=1").replace("argon2id", "argon2i"),
            argon2id("v=19$m=1,t=1,p=1") + "=",
            argon2id("v=19$m=1,t=1,p=1") + "$more",
        ] {
            assert_eq!(PasswordHash::parse(text.clone()), Err(PasswordHashError), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_the_scheme_only() {
        let hash = PasswordHash::parse(argon2id("v=19$m=1,t=1,p=1")).unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(Argon2id)");
    }
}
