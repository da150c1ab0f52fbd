//! The site that passkeys belong to (WebAuthn calls it the relying party).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use uuid::Uuid;
use webauthn_rs::prelude::{
    AuthenticationResult, CreationChallengeResponse, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, SecurityKey, SecurityKeyAuthentication,
    SecurityKeyRegistration, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::code::Wrong;
use super::{ISSUER, SecondFactor};
use crate::domain::{Email, UserId};

/// Makes challenges for passkeys and verifies the answers; clones share it. Passkeys answer on pages of its
/// origin only.
///
/// The crate calls a passkey beside a password a security key: it need not know who its owner is, and proves
/// that it knows (by a fingerprint or a PIN) if it can. One that did so when it was made always has to.
#[derive(Clone)]
pub(crate) struct RelyingParty(Arc<Webauthn>);

/// What is read of the client data here. The rest is verified by the crate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    #[serde(default)]
    cross_origin: bool,
}

impl RelyingParty {
    /// Returns the site of this address. Browsers have no passkeys for pages without TLS, except for those of
    /// their own machine, nor for an address without a domain name: `None`.
    pub(crate) fn of(url: &Url, time_to_answer: Duration) -> Option<Self> {
        let domain = url.domain()?;
        if url.scheme() != "https" && domain != "localhost" {
            return None;
        }
        let origin = Url::parse(&url.origin().ascii_serialization()).ok()?;
        let site = WebauthnBuilder::new(domain, &origin).ok()?;
        let site = site.rp_name(ISSUER).timeout(time_to_answer).build().ok()?;
        Some(Self(Arc::new(site)))
    }

    /// Makes a challenge for a new passkey, which must not be one of the account already.
    pub(super) fn begin_passkey(
        &self,
        user: UserId,
        email: &Email,
        factor: &SecondFactor,
    ) -> Result<(CreationChallengeResponse, SecurityKeyRegistration), WebauthnError> {
        let (handle, email) = (Uuid::from_u128(user.get().into()), email.as_str());
        let known = factor.keys().map(|key| key.cred_id().clone()).collect();
        let (mut options, state) =
            self.0.start_securitykey_registration(handle, email, email, Some(known), None, None)?;
        // Any kind will do: that of a phone, of the computer, or a key of its own.
        options.public_key.hints = None;
        // Chromium refuses the crate's protection policy where the verification of the user is not required.
        options.public_key.extensions = None;
        Ok((options, state))
    }

    /// Returns the new passkey, if it answers the challenge.
    pub(super) fn finish_passkey(
        &self,
        answer: &RegisterPublicKeyCredential,
        state: &SecurityKeyRegistration,
    ) -> Result<SecurityKey, WebauthnError> {
        self.0.finish_securitykey_registration(answer, state).inspect_err(explain)
    }

    /// Makes a challenge for the passkeys of an account.
    pub(super) fn begin_answer(
        &self,
        factor: &SecondFactor,
    ) -> Result<(RequestChallengeResponse, SecurityKeyAuthentication), WebauthnError> {
        let keys: Vec<_> = factor.keys().cloned().collect();
        let (mut options, state) = self.0.start_securitykey_authentication(&keys)?;
        options.public_key.hints = None;
        Ok((options, state))
    }

    /// Verifies the answer of a passkey to the challenge.
    pub(super) fn finish_answer(
        &self,
        answer: &PublicKeyCredential,
        state: &SecurityKeyAuthentication,
    ) -> Result<AuthenticationResult, Wrong> {
        // The crate looks at this for new passkeys only.
        let frame = serde_json::from_slice::<Frame>(&answer.response.client_data_json);
        if frame.is_ok_and(|frame| frame.cross_origin) {
            explain(&WebauthnError::CredentialCrossOrigin);
            return Err(Wrong::Passkey);
        }
        let verified = self.0.finish_securitykey_authentication(answer, state);
        verified.inspect_err(explain).map_err(|error| match error {
            WebauthnError::CredentialPossibleCompromise => Wrong::Counter,
            _ => Wrong::Passkey,
        })
    }
}

/// Logs why an answer is refused, for those who set the service up. The crate's own log lines contain what
/// clients sent, so they are off.
fn explain(error: &WebauthnError) {
    tracing::debug!(%error, "refused the answer of a passkey");
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelyingParty(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_need_a_domain_and_tls() {
        for (url, has_passkeys) in [
            ("https://example.com", true),
            ("https://example.com:8443/app", true),
            ("http://localhost:8080", true),
            ("http://example.com", false),
            ("http://localhost.example.com", false),
            ("https://192.0.2.1", false),
            ("http://127.0.0.1:8080", false),
            ("https://[::1]", false),
        ] {
            let site = RelyingParty::of(&url.parse().unwrap(), Duration::from_secs(300));
            assert_eq!(site.is_some(), has_passkeys, "{url}");
        }
    }
}
