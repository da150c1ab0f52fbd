//! Passkeys (WebAuthn): a key pair, of which the service has the public half.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use webauthn_rs::prelude::{
    AuthenticationResult, CreationChallengeResponse, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, SecurityKey, SecurityKeyAuthentication,
    SecurityKeyRegistration,
};

use super::SecondFactor;
use super::code::Wrong;
use super::relying_party::RelyingParty;
use crate::domain::{Email, UserId};

/// The maximum number of passkeys of an account. People have one for each of their devices.
pub(crate) const MAX_PASSKEYS: usize = 10;

/// The bytes of a handle. They tell the passkeys of one account apart.
const HANDLE_BYTES: usize = 8;

/// A passkey of an account, as it is stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Passkey {
    /// The name that its owner gave it.
    pub(crate) name: String,
    pub(crate) created_ms: u64,
    pub(crate) last_used_ms: Option<u64>,
    /// The signature counter of the last answer. Passkeys that are copied to other devices have none: 0.
    counter: u32,
    pub(super) key: SecurityKey,
}

/// A passkey that is being made: what its answer is compared with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingPasskey {
    user: u64,
    state: SecurityKeyRegistration,
}

/// A challenge that waits for the answer of a passkey.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingChallenge {
    user: u64,
    state: SecurityKeyAuthentication,
}

impl Passkey {
    pub(super) fn new(name: String, key: SecurityKey, now: SystemTime) -> Self {
        Self { name, created_ms: milliseconds(now), last_used_ms: None, counter: 0, key }
    }

    /// Returns the name by which its owner removes it: a hash, because the id of a passkey is long.
    pub(crate) fn handle(&self) -> String {
        let hash = Sha256::digest(self.key.cred_id());
        hash.iter().take(HANDLE_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn is_of(&self, answer: &AuthenticationResult) -> bool {
        self.key.cred_id() == answer.cred_id()
    }

    /// Notes that it has answered. Of answers at the same time, each was compared with the counter from
    /// before all of them, so it is compared again here.
    pub(super) fn used(
        &mut self,
        answer: &AuthenticationResult,
        now: SystemTime,
    ) -> Result<(), Wrong> {
        let counts = answer.counter() > 0 || self.counter > 0;
        if counts && answer.counter() <= self.counter {
            return Err(Wrong::Counter);
        }
        self.counter = answer.counter();
        self.key.update_credential(answer);
        self.last_used_ms = Some(milliseconds(now));
        Ok(())
    }
}

impl PendingPasskey {
    /// Makes a challenge for a new passkey of an account, and the options for the browser.
    pub(crate) fn begin(
        site: &RelyingParty,
        (user, email): (UserId, &Email),
        factor: &SecondFactor,
    ) -> Option<(CreationChallengeResponse, Self)> {
        let (options, state) = site.begin_passkey(user, email, factor).ok()?;
        Some((options, Self { user: user.get(), state }))
    }

    /// Returns the key pair's public half if the answer is one to this challenge, and of this account.
    pub(crate) fn finish(
        &self,
        site: &RelyingParty,
        user: UserId,
        answer: &RegisterPublicKeyCredential,
    ) -> Option<SecurityKey> {
        if self.user != user.get() {
            return None;
        }
        site.finish_passkey(answer, &self.state).ok()
    }
}

impl PendingChallenge {
    /// Makes a challenge for the passkeys of an account, and the options for the browser.
    pub(crate) fn begin(
        site: &RelyingParty,
        user: UserId,
        factor: &SecondFactor,
    ) -> Option<(RequestChallengeResponse, Self)> {
        let (options, state) = site.begin_answer(factor).ok()?;
        Some((options, Self { user: user.get(), state }))
    }

    /// Verifies an answer to this challenge.
    ///
    /// # Errors
    ///
    /// Why it is wrong.
    pub(crate) fn finish(
        &self,
        site: &RelyingParty,
        user: UserId,
        answer: &PublicKeyCredential,
    ) -> Result<AuthenticationResult, Wrong> {
        if self.user != user.get() {
            return Err(Wrong::Passkey);
        }
        site.finish_answer(answer, &self.state)
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
