//! What somebody gives to prove that they have the second factor.

use std::fmt;
use std::str::FromStr;

use webauthn_rs::prelude::PublicKeyCredential;

use super::recovery::RecoveryCode;
use super::totp::DIGITS;

/// A proof of the second factor. It has no `Debug` output of its own, which would be in logs.
pub(crate) enum Proof {
    /// A code that a person types.
    Code(Code),
    Passkey(Box<Answer>),
}

/// The answer of a passkey to a challenge.
pub(crate) struct Answer {
    pub(crate) challenge: Challenge,
    pub(crate) credential: PublicKeyCredential,
}

/// Which challenge a passkey answers: the last one for this purpose that the holder of this secret asked for.
/// So an answer serves no other purpose, and nobody else.
pub(crate) struct Challenge {
    pub(crate) purpose: &'static str,
    pub(crate) holder: String,
}

impl Challenge {
    /// For the pending login of this token.
    pub(crate) fn of_login(token: &str) -> Self {
        Self { purpose: "passkey of a login", holder: token.to_owned() }
    }

    /// For a change by the session of this id.
    pub(crate) fn of_session(id: &str) -> Self {
        Self { purpose: "passkey of a change", holder: id.to_owned() }
    }

    /// For the reset of a password with this token.
    pub(crate) fn of_reset(token: &str) -> Self {
        Self { purpose: "passkey of a reset", holder: token.to_owned() }
    }
}

/// Why a proof is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A code is none of the account, or was used before.
    Code,
    /// An answer is none of a passkey of the account to the challenge.
    Passkey,
    /// The signature counter of a passkey went back: there may be a copy of it.
    Counter,
}

/// A code of either kind, which have different forms.
pub(crate) enum Code {
    /// The digits of an authenticator app.
    Totp(String),
    Recovery(RecoveryCode),
}

impl FromStr for Code {
    type Err = &'static str;

    /// Reads a code as people type it: with blanks or hyphens, in upper or lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let typed: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if typed.len() == DIGITS && typed.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Totp(typed));
        }
        RecoveryCode::typed(&typed)
            .map(Self::Recovery)
            .ok_or("must be the six digits of an authenticator app, or a recovery code")
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_their_form() {
        for (text, is_totp) in [
            ("123456", Some(true)),
            ("123 456", Some(true)),
            ("abcd-efgh-ijkl-mnop-qrst-uv27", Some(false)),
            ("ABCDEFGHIJKLMNOPQRSTUV27", Some(false)),
            ("", None),
            ("12345", None),
            ("1234567", None),
            ("+12345", None),
            ("١٢٣٤٥٦", None),
            ("abcd-efgh-ijkl-mnop-qrst-uv28", None),
            ("abcd-efgh-ijkl-mnop-qrst-uv2", None),
        ] {
            let read = text.parse::<Code>().ok().map(|code| matches!(code, Code::Totp(_)));
            assert_eq!(read, is_totp, "{text}");
        }
    }
}
