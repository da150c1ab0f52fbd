//! What somebody gives to prove that they have the second factor.

use std::fmt;
use std::str::FromStr;

use super::recovery::RecoveryCode;
use super::totp::DIGITS;

/// A proof of the second factor. It has no `Debug` output of its own, which would be in logs.
pub(crate) enum Proof {
    /// A code that a person types.
    Code(Code),
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
