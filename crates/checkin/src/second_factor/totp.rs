//! Codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits and steps of 30 seconds, which is what
//! all apps support.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use totp_rs::{Builder, Secret, Totp};

use super::ISSUER;
use crate::domain::Email;

pub(super) const DIGITS: usize = 6;

/// 160 bits, as RFC 4226 recommends.
const BYTES: usize = 20;

/// A secret that a service and an authenticator app share. The service must be able to read it.
#[derive(Clone, PartialEq)]
pub(crate) struct TotpSecret(Totp);

impl TotpSecret {
    /// Makes one. Returns `None` if the system has no random numbers.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).ok()?;
        Self::new(Secret::from(bytes))
    }

    /// Returns the secret, if it is long enough.
    fn new(secret: Secret) -> Option<Self> {
        Builder::new().with_secret(secret).build().ok().map(Self)
    }

    /// Returns the time step that this is the code of: the current one, the one before or the one after,
    /// because the clock of a phone may differ.
    pub(super) fn step_of(&self, code: &str, now: SystemTime) -> Option<u64> {
        self.0.check(code, seconds(now))
    }

    #[cfg(test)]
    pub(super) fn code_at(&self, time: SystemTime) -> String {
        self.0.generate(seconds(time)).to_string()
    }

    /// Returns the secret in base32, as people type it into an app.
    pub(crate) fn base32(&self) -> String {
        self.0.secret().to_base32()
    }

    /// Returns the address that an app reads from a QR code.
    pub(crate) fn uri(&self, account: &Email) -> Option<String> {
        // A colon separates the name of the service from that of the account.
        let account = account.as_str().replace(':', " ");
        let totp = Builder::new()
            .with_secret(self.0.secret().clone())
            .with_issuer(Some(ISSUER))
            .with_account_name(account);
        totp.build().ok()?.to_url().ok()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Serialize for TotpSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.base32())
    }
}

impl<'de> Deserialize<'de> for TotpSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let secret = Secret::try_from_base32(text).ok().and_then(Self::new);
        secret.ok_or_else(|| de::Error::custom("must be a secret of 128 bits or more, in base32"))
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rfc() -> TotpSecret {
        TotpSecret::new(Secret::from(*b"12345678901234567890")).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// RFC 6238, appendix B, whose codes have eight digits: the last six of them.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code_at(at(time)), code);
            let step = time / 30;
            assert_eq!(rfc().step_of(code, at(time)), Some(step), "{time}");
            // One step of drift in either direction, and no more.
            for now in [time - 30, time + 30] {
                assert_eq!(rfc().step_of(code, at(now)), Some(step), "{time} {now}");
            }
            for now in [time.max(90) - 90, time + 60].into_iter().filter(|now| *now > 0) {
                assert_eq!(rfc().step_of(code, at(now)), None, "{time} {now}");
            }
        }
    }

    #[test]
    fn an_app_reads_the_address() {
        let uri = rfc().uri(&"al.appelhof@example.com".parse().unwrap()).unwrap();
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(rfc().base32(), secret);
        let expected = format!(
            "otpauth://totp/checkin:al.appelhof%40example.com?secret={secret}&issuer=checkin"
        );
        assert_eq!(uri, expected);
    }
}
