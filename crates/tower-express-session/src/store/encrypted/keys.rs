//! The keys that hash ids and encrypt values.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::ConfigError;
use crate::id::SessionId;

/// The minimum length of a key. A shorter one could be guessed.
const MIN_KEY_BYTES: usize = 32;

/// The first byte of a sealed value.
const VERSION: u8 = 1;

const NONCE_BYTES: usize = 24;

/// The number of bytes in front of an id, which say how long it is.
const LENGTH_BYTES: usize = 4;

/// The keys of an [`EncryptedStore`](super::EncryptedStore): one that hashes ids, and others that
/// encrypt values: the first one encrypts, each of them decrypts.
///
/// Clones share the keys, so a running service can replace them:
///
/// ```
/// use tower_express_session::store::encrypted::EncryptionKeys;
///
/// # let id_key = "k7Gm1ySvC2nZ0qVxJ4hT8rBpL5wEoUaD";
/// # let [old, new] = ["wq3ZtY6uN9sFj2XcR0eK7mHbV1gPiLdA", "Hs8KdW4oQ1zTnC6yU3pMfX9jA5rEvBg2"];
/// let keys = EncryptionKeys::new(id_key, [old])?;
/// keys.replace(id_key, [old, new])?; // in every service, so that each can read what the others write
/// keys.replace(id_key, [new, old])?; // then `new` encrypts
/// keys.replace(id_key, [new])?; // when the sessions that were not used since then have ended
/// # Ok::<(), tower_express_session::ConfigError>(())
/// ```
///
/// A session that an old key encrypted is encrypted with the first one when it is next loaded. The key
/// of the ids stays the same, because a session is found by the hash of its id. To know it is of no use
/// without an id: an id has 192 random bits.
#[derive(Clone)]
pub struct EncryptionKeys {
    ids: Hmac<Sha256>,
    // Locked to copy or replace a pointer, never across an await.
    values: Arc<RwLock<Arc<[ValueKey]>>>,
}

/// A key for values, as the two keys that are derived from it.
struct ValueKey {
    cipher: XChaCha20Poly1305,
    nonces: Hmac<Sha256>,
}

/// Where a sealed value is stored. In another place it cannot be opened.
pub(crate) enum Place<'a> {
    /// The value of the session with this hash.
    Session(&'a SessionId),
    /// The entry of the session with this hash in the index of an account.
    Index {
        /// The hash of the session's id.
        id: &'a SessionId,
        /// The account.
        account: &'a str,
    },
}

/// A decrypted value.
pub(crate) struct Opened {
    pub(crate) id: SessionId,
    pub(crate) value: Bytes,
    /// Whether a key other than the first one had encrypted it.
    pub(crate) is_by_old_key: bool,
}

impl EncryptionKeys {
    /// Creates keys from texts or bytes of at least 32 bytes each. The first of `keys` encrypts.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Option`] if there is no key, or a shorter one.
    pub fn new<K: AsRef<[u8]>>(
        id_key: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, ConfigError> {
        let ids = derived(id_key.as_ref(), b"session ids")?;
        Ok(Self { ids, values: Arc::new(RwLock::new(value_keys(keys)?)) })
    }

    /// Replaces the keys that encrypt in all clones. Each later operation uses the new ones.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if `id_key` is another one than before. After an error the keys are
    /// unchanged.
    pub fn replace<K: AsRef<[u8]>>(
        &self,
        id_key: impl AsRef<[u8]>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), ConfigError> {
        let ids = derived(id_key.as_ref(), b"session ids")?;
        if ids.finalize().into_bytes() != self.ids.clone().finalize().into_bytes() {
            let rule =
                "must stay the same while the program runs, because sessions are found by it";
            return Err(ConfigError::option("id_key", rule));
        }
        *self.values.write().unwrap_or_else(PoisonError::into_inner) = value_keys(keys)?;
        Ok(())
    }

    /// Returns the hash under which a session is stored.
    pub(crate) fn hash(&self, id: &SessionId) -> SessionId {
        let mut mac = self.ids.clone();
        mac.update(id.as_str().as_bytes());
        SessionId::from(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()).as_str())
    }

    /// Encrypts a value together with the id of its session. The result is always the same for the
    /// same arguments.
    pub(crate) fn seal(&self, place: &Place<'_>, id: &SessionId, value: &[u8]) -> Bytes {
        let place = place.to_bytes();
        let id = id.as_str().as_bytes();
        let length = u32::try_from(id.len()).expect("an id came in a header");
        let plain = [&length.to_be_bytes(), id, value].concat();
        let key = &self.values()[0];
        let nonce = key.nonce(&place, &plain);
        let sealed = key.cipher.encrypt(&nonce, Payload { msg: &plain, aad: &place });
        let sealed = sealed.expect("a session is shorter than 256 GB");
        [&[VERSION], nonce.as_slice(), &sealed].concat().into()
    }

    /// Decrypts a value; `None` if it was not sealed by one of the keys for this place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Option<Opened> {
        let sealed = sealed.strip_prefix(&[VERSION])?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (nonce, place) = (XNonce::from(*nonce), place.to_bytes());
        let (at, plain) = self.values().iter().enumerate().find_map(|(at, key)| {
            let payload = Payload { msg: sealed, aad: &place };
            Some((at, key.cipher.decrypt(&nonce, payload).ok()?))
        })?;
        let plain = Bytes::from(plain);
        let length = u32::from_be_bytes(*plain.first_chunk::<LENGTH_BYTES>()?);
        let start = LENGTH_BYTES.checked_add(usize::try_from(length).ok()?)?;
        let id = std::str::from_utf8(plain.get(LENGTH_BYTES..start)?).ok()?;
        Some(Opened { id: SessionId::from(id), value: plain.slice(start..), is_by_old_key: at > 0 })
    }

    fn values(&self) -> Arc<[ValueKey]> {
        Arc::clone(&self.values.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ValueKey {
    fn new(key: &[u8]) -> Result<Self, ConfigError> {
        let cipher = derived(key, b"encryption")?.finalize().into_bytes();
        let cipher = XChaCha20Poly1305::new_from_slice(&cipher).expect("it takes 32 bytes");
        Ok(Self { cipher, nonces: derived(key, b"nonces")? })
    }

    /// Returns the nonce of a value in this place. Different values, and different places, have
    /// different nonces, even if the random numbers of a machine are bad.
    fn nonce(&self, place: &[u8], plain: &[u8]) -> XNonce {
        let mut mac = self.nonces.clone();
        mac.update(&(place.len() as u64).to_be_bytes());
        mac.update(place);
        mac.update(plain);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&mac.finalize().into_bytes()[..NONCE_BYTES]);
        nonce.into()
    }
}

impl Place<'_> {
    /// A hash is always of the same length, so no two places have the same bytes.
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Session(id) => format!("session:{}", id.as_str()),
            Self::Index { id, account } => format!("index:{}{account}", id.as_str()),
        }
        .into_bytes()
    }
}

fn value_keys<K: AsRef<[u8]>>(
    keys: impl IntoIterator<Item = K>,
) -> Result<Arc<[ValueKey]>, ConfigError> {
    let keys: Vec<_> =
        keys.into_iter().map(|key| ValueKey::new(key.as_ref())).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(ConfigError::option("keys", "must not be empty"));
    }
    Ok(keys.into())
}

/// Returns the key for one purpose.
fn derived(key: &[u8], purpose: &[u8]) -> Result<Hmac<Sha256>, ConfigError> {
    if key.len() < MIN_KEY_BYTES {
        let rule = format!("must be at least {MIN_KEY_BYTES} bytes long");
        return Err(ConfigError::option("key", rule));
    }
    let any = "HMAC takes a key of any length";
    let mac = Hmac::<Sha256>::new_from_slice(key).expect(any).chain_update(purpose);
    Ok(Hmac::<Sha256>::new_from_slice(&mac.finalize().into_bytes()).expect(any))
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKeys({})", self.values().len())
    }
}
