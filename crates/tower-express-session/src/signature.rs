//! Signed cookie values, `s:<id>.<signature>`, in the format of npm's cookie-signature.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::ConfigError;
use crate::header;
use crate::id::SessionId;
use crate::verified::Verified;

/// The secrets that sign session cookies: the first one signs, each of them verifies.
///
/// Clones share the secrets, so a running service can replace them:
///
/// ```
/// use tower_express_session::{MemoryStore, Secrets, SessionLayer};
///
/// let secrets = Secrets::new(["the first"])?;
/// let layer = SessionLayer::builder(MemoryStore::new(), secrets.clone()).build()?;
/// let old = secrets.sign("0123456789abcdef");
///
/// secrets.replace(["the second", "the first"])?;
/// assert_eq!(secrets.unsign(&old).unwrap().as_str(), "0123456789abcdef");
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
///
/// A visitor whose cookie was signed by an old secret gets a cookie signed by the first secret,
/// with the next response of a handler that uses the session. Remove an old secret when all
/// sessions whose cookies it signed have ended.
#[derive(Clone)]
pub struct Secrets(Arc<RwLock<Arc<Signing>>>);

struct Signing {
    keys: Vec<Hmac<Sha256>>,
    /// Values that one of these keys has signed.
    verified: Verified,
}

/// An id from a signed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsigned {
    pub(crate) id: SessionId,
    /// Whether a secret other than the first one signed it.
    pub(crate) by_old_secret: bool,
}

impl Secrets {
    /// Creates secrets from texts or bytes. The first one signs.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no secret, or an empty one, with which anybody could forge
    /// cookies.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(RwLock::new(signing(secrets)?))))
    }

    /// Replaces the secrets in all clones. Each later request uses the new ones.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). After an error the secrets are unchanged.
    pub fn replace<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), ConfigError> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = signing(secrets)?;
        Ok(())
    }

    /// Signs an id, for tests and tools; the layer signs its cookies itself. Returns the value of
    /// npm's cookie-signature with express-session's prefix `s:`, not percent-encoded.
    #[must_use]
    pub fn sign(&self, id: &str) -> String {
        let mut mac = self.signing().keys[0].clone();
        mac.update(id.as_bytes());
        format!("s:{id}.{}", STANDARD_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// Returns the id in a signed value, if one of the secrets signed it.
    ///
    /// It splits at the last dot, because an id may contain dots, and accepts only the exact text that
    /// [`sign`](Self::sign) returns: no padding, no URL-safe alphabet. It compares in constant time.
    #[must_use]
    pub fn unsign(&self, value: &str) -> Option<SessionId> {
        self.signing().verify(value).map(|unsigned| unsigned.id)
    }

    /// Returns a code by which [`verify_code`](Self::verify_code) recognizes `data`, for anything but
    /// session cookies: a service need not have more secrets than these. The first secret makes it.
    ///
    /// The key is derived from the secret for this `purpose`. No signature of a session cookie, and no
    /// code for another purpose, is a code for this one.
    ///
    /// ```
    /// use tower_express_session::Secrets;
    ///
    /// let secrets = Secrets::new(["keyboard cat"])?;
    /// let code = secrets.code("unsubscribe link", b"al@example.com");
    /// assert!(secrets.verify_code("unsubscribe link", b"al@example.com", &code));
    /// assert!(!secrets.verify_code("unsubscribe link", b"bo@example.com", &code));
    /// # Ok::<(), tower_express_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn code(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut mac = derived(&self.signing().keys[0], purpose);
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// Returns whether one of the secrets made this code for this purpose and this `data`. It compares
    /// in constant time.
    #[must_use]
    pub fn verify_code(&self, purpose: &str, data: &[u8], code: &[u8]) -> bool {
        self.signing().keys.iter().any(|key| {
            let mut mac = derived(key, purpose);
            mac.update(data);
            mac.verify_slice(code).is_ok()
        })
    }

    /// Returns the id in a value as a client sent it, encoded, if one of the secrets signed it.
    pub(crate) fn verify(&self, sent: &str) -> Option<Unsigned> {
        let signing = self.signing();
        signing.verified.get_or_verify(sent, || signing.verify(&header::value_of(sent)))
    }

    fn signing(&self) -> Arc<Signing> {
        // Locked to copy or replace a pointer, never across an await.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Signing {
    fn verify(&self, value: &str) -> Option<Unsigned> {
        let (id, signature) = value.strip_prefix("s:")?.rsplit_once('.')?;
        let signature = STANDARD_NO_PAD.decode(signature).ok()?;
        let signed_by = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            mac.update(id.as_bytes());
            mac.verify_slice(&signature).is_ok()
        };
        // The signature of an empty id may be valid, but express-session treats it as no session.
        let signer = (!id.is_empty()).then(|| self.keys.iter().position(signed_by))??;
        Some(Unsigned { id: SessionId::from(id), by_old_secret: signer > 0 })
    }
}

impl<S: AsRef<[u8]>, const N: usize> TryFrom<[S; N]> for Secrets {
    type Error = ConfigError;

    fn try_from(secrets: [S; N]) -> Result<Self, ConfigError> {
        Self::new(secrets)
    }
}

impl<S: AsRef<[u8]>> TryFrom<&[S]> for Secrets {
    type Error = ConfigError;

    fn try_from(secrets: &[S]) -> Result<Self, ConfigError> {
        Self::new(secrets)
    }
}

impl<S: AsRef<[u8]>> TryFrom<Vec<S>> for Secrets {
    type Error = ConfigError;

    fn try_from(secrets: Vec<S>) -> Result<Self, ConfigError> {
        Self::new(secrets)
    }
}

fn signing<S: AsRef<[u8]>>(
    secrets: impl IntoIterator<Item = S>,
) -> Result<Arc<Signing>, ConfigError> {
    let keys: Vec<_> =
        secrets.into_iter().map(|secret| key(secret.as_ref())).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(ConfigError::NoSecret);
    }
    Ok(Arc::new(Signing { keys, verified: Verified::new() }))
}

/// Derives the key for a purpose. A cookie signs a text, and no text begins with this byte, so that nobody
/// has such a key signed as if it were an id.
fn derived(key: &Hmac<Sha256>, purpose: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&[0xFF]);
    mac.update(purpose.as_bytes());
    Hmac::new_from_slice(&mac.finalize().into_bytes()).expect("HMAC takes a key of any length")
}

fn key(secret: &[u8]) -> Result<Hmac<Sha256>, ConfigError> {
    if secret.is_empty() {
        return Err(ConfigError::EmptySecret);
    }
    Ok(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.signing().keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(list: &[&str]) -> Secrets {
        Secrets::new(list).unwrap()
    }

    #[test]
    fn signatures_are_those_of_cookie_signature() {
        let value = secrets(&["keyboard cat"]).sign("0123456789abcdef");
        assert_eq!(value, "s:0123456789abcdef.3S3RsaFMKoAtkT5+E8LbKyZoXgRG2L6eXhvB3Ran2Ts");
        assert_eq!(secrets(&["k"]).sign("x"), "s:x.w47ciBXISJ9kc4l49EAI+FljRVRfC6po72/PXFPlcYk");
    }

    #[test]
    fn each_secret_verifies_and_the_first_signs() {
        let old = secrets(&["old"]).sign("id");
        let both = secrets(&["new", "old"]);
        assert_eq!(both.unsign(&old).unwrap().as_str(), "id");
        assert_eq!(both.sign("id"), secrets(&["new"]).sign("id"));
        assert!(secrets(&["new"]).unsign(&old).is_none());
    }

    #[test]
    fn verification_reports_whether_an_old_secret_signed() {
        let both = secrets(&["new", "old"]);
        assert!(!both.verify(&both.sign("id")).unwrap().by_old_secret);
        assert!(both.verify(&secrets(&["old"]).sign("id")).unwrap().by_old_secret);
    }

    #[test]
    fn clones_share_replaced_secrets_and_an_invalid_list_changes_nothing() {
        let secrets = secrets(&["old"]);
        let value = secrets.sign("id");
        let clone = secrets.clone();
        assert!(secrets.verify(&value).is_some());
        secrets.replace(["new"]).unwrap();
        assert!(clone.unsign(&value).is_none());
        assert!(clone.verify(&value).is_none(), "it is not remembered either");
        assert_eq!(secrets.replace(["old", ""]), Err(ConfigError::EmptySecret));
        assert!(clone.unsign(&clone.sign("id")).is_some());
    }

    #[test]
    fn a_code_is_for_one_purpose_and_is_no_signature() {
        let both = secrets(&["new", "old"]);
        let old = secrets(&["old"]).code("a", b"data");
        assert!(both.verify_code("a", b"data", &old));
        assert_eq!(both.code("a", b"data"), secrets(&["new"]).code("a", b"data"));
        assert!(!secrets(&["new"]).verify_code("a", b"data", &old));
        for (purpose, data) in [("b", &b"data"[..]), ("a", b"dat"), ("ad", b"ata"), ("", b"adata")]
        {
            assert!(!both.verify_code(purpose, data, &old), "{purpose}");
        }
        assert!(!both.verify_code("a", b"data", &old[..31]));
        let signature = both.sign("data");
        let signature = STANDARD_NO_PAD.decode(signature.rsplit_once('.').unwrap().1).unwrap();
        assert!(!both.verify_code("", b"data", &signature));
        assert!(!both.verify_code("data", b"", &signature));
    }

    #[test]
    fn an_id_may_contain_dots() {
        let secrets = secrets(&["k"]);
        assert_eq!(secrets.unsign(&secrets.sign("a.b.c")).unwrap().as_str(), "a.b.c");
    }

    #[test]
    fn only_an_exact_signed_value_is_accepted() {
        let secrets = secrets(&["k"]);
        let good = secrets.sign("x");
        let bare = good.strip_prefix("s:").unwrap();
        let url_safe = good.replace('+', "-").replace('/', "_");
        for bad in [
            "",
            "s:",
            "s:x",
            "s:.",
            "s:x.",
            "x",
            bare,
            &format!("S:{bare}"),
            &format!("{good}="),
            &format!("{good}A"),
            &url_safe,
            &good[..good.len() - 1],
            &secrets.sign(""),
            &good.replace("s:x", "s:y"),
        ] {
            assert!(secrets.unsign(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_signature_with_any_flipped_bit_is_rejected() {
        let secrets = secrets(&["k"]);
        let good = secrets.sign("x");
        for at in 4..good.len() {
            for bit in 0..7 {
                let mut bytes = good.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).unwrap();
                assert!(secrets.unsign(&flipped).is_none(), "{flipped}");
            }
        }
    }

    #[test]
    fn a_missing_or_empty_secret_is_an_error() {
        assert_eq!(Secrets::new([""; 0]).unwrap_err(), ConfigError::NoSecret);
        assert_eq!(Secrets::new(["a", ""]).unwrap_err(), ConfigError::EmptySecret);
    }
}
