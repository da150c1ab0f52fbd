//! The second factor of an account: what its owner has beside the password. Nothing here reads a store.

mod code;
mod passkey;
mod recovery;
mod relying_party;
mod totp;

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::{AuthenticationResult, SecurityKey};

pub(crate) use code::{Answer, Challenge, Code, Proof, Wrong};
pub(crate) use passkey::{MAX_PASSKEYS, Passkey, PendingChallenge, PendingPasskey};
pub(crate) use recovery::RECOVERY_CODES;
use recovery::RecoveryCode;
pub(crate) use relying_party::RelyingParty;
pub(crate) use totp::TotpSecret;

/// The name of the service that apps and browsers show.
const ISSUER: &str = "checkin";

/// The second factor of an account, as it is stored: a JSON object. A version that does not know one of its
/// members refuses it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SecondFactor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totp: Option<Totp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passkeys: Vec<Passkey>,
    /// The hashes of the recovery codes that are not used yet.
    recovery_codes: Vec<String>,
}

/// An authenticator app.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Totp {
    secret: TotpSecret,
    /// The time step of the last code that was accepted. Neither it nor an earlier one is accepted again.
    last_step: u64,
}

/// The kinds of proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Method {
    /// A code of an authenticator app.
    Totp,
    /// An answer of a passkey.
    Passkey,
    /// A recovery code.
    Recovery,
}

impl SecondFactor {
    /// Reads a stored one.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without a part of it.
    pub(crate) fn read(stored: &str) -> Result<Self, String> {
        serde_json::from_str(stored).map_err(|error| {
            format!(
                "must be that of this version (line {}, column {})",
                error.line(),
                error.column()
            )
        })
    }

    /// Returns what is stored, or `None` if nothing is on.
    pub(crate) fn stored(&self) -> Option<String> {
        self.is_on().then(|| serde_json::to_string(self).expect("texts and numbers are JSON"))
    }

    /// Returns whether the owner has anything beside recovery codes, which alone are no second factor.
    fn is_on(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    /// Returns whether proofs of this kind are accepted.
    pub(crate) fn has(&self, method: Method) -> bool {
        self.methods().contains(&method)
    }

    /// Returns the number of recovery codes that are left.
    pub(crate) fn recovery_codes(&self) -> usize {
        self.recovery_codes.len()
    }

    /// Returns the passkeys, the oldest first.
    pub(crate) fn passkeys(&self) -> &[Passkey] {
        &self.passkeys
    }

    fn keys(&self) -> impl Iterator<Item = &SecurityKey> {
        self.passkeys.iter().map(|passkey| &passkey.key)
    }

    /// Returns the kinds of proofs that are accepted, the usual ones first.
    pub(crate) fn methods(&self) -> Vec<Method> {
        let totp = self.totp.as_ref().map(|_| Method::Totp);
        let passkey = (!self.passkeys.is_empty()).then_some(Method::Passkey);
        let recovery = (!self.recovery_codes.is_empty()).then_some(Method::Recovery);
        totp.into_iter().chain(passkey).chain(recovery).collect()
    }

    /// Returns what is left of the second factor when the code is used, and its kind, if it is right. A code
    /// is right once.
    pub(crate) fn after(&self, code: &Code, now: SystemTime) -> Option<(Self, Method)> {
        let mut after = self.clone();
        match code {
            Code::Totp(code) => {
                let totp = after.totp.as_mut()?;
                let step = totp.secret.step_of(code, now)?;
                if step <= totp.last_step {
                    return None;
                }
                totp.last_step = step;
                Some((after, Method::Totp))
            }
            Code::Recovery(code) => {
                let hash = code.hash();
                let at = after.recovery_codes.iter().position(|one| *one == hash)?;
                after.recovery_codes.remove(at);
                Some((after, Method::Recovery))
            }
        }
    }

    /// Returns the second factor after an answer of one of its passkeys.
    ///
    /// # Errors
    ///
    /// [`Wrong::Passkey`] if it has the passkey no more, and [`Wrong::Counter`].
    pub(crate) fn after_answer(
        &self,
        answer: &AuthenticationResult,
        now: SystemTime,
    ) -> Result<Self, Wrong> {
        let mut after = self.clone();
        let passkey = after.passkeys.iter_mut().find(|passkey| passkey.is_of(answer));
        passkey.ok_or(Wrong::Passkey)?.used(answer, now)?;
        Ok(after)
    }

    /// Adds a passkey, unless there are too many, or it is there already.
    pub(crate) fn with_passkey(
        mut self,
        name: String,
        key: SecurityKey,
        now: SystemTime,
    ) -> Option<Self> {
        if self.passkeys.len() >= MAX_PASSKEYS || self.keys().any(|known| *known == key) {
            return None;
        }
        self.passkeys.push(Passkey::new(name, key, now));
        Some(self)
    }

    /// Removes a passkey, if it is there.
    pub(crate) fn without_passkey(&self, handle: &str) -> Option<Self> {
        let mut after = self.clone();
        after.passkeys.retain(|passkey| passkey.handle() != handle);
        (after.passkeys.len() < self.passkeys.len()).then_some(after)
    }

    /// Adds an authenticator app, in place of the one before, if the code is one of it.
    pub(crate) fn with_totp(
        mut self,
        secret: TotpSecret,
        code: &str,
        now: SystemTime,
    ) -> Option<Self> {
        let last_step = secret.step_of(code, now)?;
        self.totp = Some(Totp { secret, last_step });
        Some(self)
    }

    /// Removes all recovery codes.
    pub(crate) fn without_recovery_codes(&self) -> Self {
        Self { recovery_codes: Vec::new(), ..self.clone() }
    }

    /// Makes recovery codes if something is on and none are left, and returns them: they are not stored.
    /// Returns `None` if the system has no random numbers.
    pub(crate) fn with_recovery_codes(mut self) -> Option<(Self, Vec<String>)> {
        if !self.is_on() || !self.recovery_codes.is_empty() {
            return Some((self, Vec::new()));
        }
        let codes: Option<Vec<_>> = (0..RECOVERY_CODES).map(|_| RecoveryCode::random()).collect();
        let codes = codes?;
        self.recovery_codes = codes.iter().map(RecoveryCode::hash).collect();
        Some((self, codes.iter().map(RecoveryCode::shown).collect()))
    }
}

/// What is on, for an operator.
impl fmt::Display for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has(Method::Totp) {
            write!(f, "authenticator app, ")?;
        }
        match self.passkeys.len() {
            0 => {}
            1 => write!(f, "1 passkey, ")?,
            number => write!(f, "{number} passkeys, ")?,
        }
        write!(f, "{} recovery codes", self.recovery_codes())
    }
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor").field("methods", &self.methods()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn proof(code: &str) -> Code {
        code.parse().unwrap()
    }

    #[test]
    fn a_code_is_right_once_and_not_after_a_later_one() {
        let (secret, now) = (TotpSecret::random().unwrap(), 1_788_220_800);
        let code = |time: u64| secret.code_at(at(time));
        let on = SecondFactor::default().with_totp(secret.clone(), &code(now), at(now)).unwrap();
        // The one of the enrolment is used up, and the one before it.
        assert!(on.after(&proof(&code(now)), at(now)).is_none());
        assert!(on.after(&proof(&code(now - 30)), at(now)).is_none());
        // A clock may differ by a step.
        assert!(on.after(&proof(&code(now + 60)), at(now)).is_none());
        let (used, method) = on.after(&proof(&code(now + 30)), at(now)).unwrap();
        assert_eq!(method, Method::Totp);
        assert!(used.after(&proof(&code(now + 30)), at(now + 30)).is_none());
        assert!(used.after(&proof(&code(now + 60)), at(now + 90)).is_some());
        assert!(used.after(&proof(&code(now + 60)), at(now + 120)).is_none());
        // What is stored is what is read.
        assert_eq!(SecondFactor::read(&used.stored().unwrap()), Ok(used));
    }

    #[test]
    fn a_recovery_code_is_right_once() {
        let (secret, now) = (TotpSecret::random().unwrap(), at(1_788_220_800));
        let code = secret.code_at(now);
        let on = SecondFactor::default().with_totp(secret, &code, now).unwrap();
        let (on, codes) = on.with_recovery_codes().unwrap();
        assert_eq!((codes.len(), on.recovery_codes()), (10, 10));
        assert!(codes.iter().all(|code| !on.stored().unwrap().contains(code)));
        let (used, method) = on.after(&proof(&codes[3]), now).unwrap();
        assert_eq!((method, used.recovery_codes()), (Method::Recovery, 9));
        assert!(used.after(&proof(&codes[3]), now).is_none());
        // However it is written.
        let typed = codes[4].to_uppercase().replace('-', " ");
        assert!(used.after(&proof(&typed), now).is_some());
        // New ones are made only in place of all.
        let (used, none) = used.with_recovery_codes().unwrap();
        assert_eq!((used.recovery_codes(), none.len()), (9, 0));
        let (new, others) = used.without_recovery_codes().with_recovery_codes().unwrap();
        assert!(new.after(&proof(&codes[4]), now).is_none());
        assert!(new.after(&proof(&others[0]), now).is_some());
    }

    #[test]
    fn recovery_codes_alone_are_no_second_factor() {
        let (off, codes) = SecondFactor::default().with_recovery_codes().unwrap();
        assert_eq!((off.stored(), codes.len()), (None, 0));
        let later = r#"{"recoveryCodes":[],"palm":true}"#;
        assert!(SecondFactor::read(later).unwrap_err().starts_with("must be"));
    }
}
