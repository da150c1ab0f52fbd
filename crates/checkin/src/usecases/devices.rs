//! Recognizes the devices that have logged in to an account before, by a cookie.
//!
//! The service keeps nothing about a device except the attempts of its budget. The cookie names the
//! device by a random number and is signed together with the account's address and epoch. A cookie from
//! before the last change of the password is worth nothing: whoever stole some, or collected many
//! while they knew the password, has lost them with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_express_session::Secrets;

use crate::domain::Email;
use crate::storage::Budget;

/// How long a device is recognized after a login: as long as browsers keep a cookie.
pub(crate) const LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

const PURPOSE: &str = "checkin device cookie, version 1";

/// The number of the device, the time of the login in seconds since 1970, and the epoch of the account.
const FACTS: usize = DEVICE + 8 + 8;
const DEVICE: usize = 16;
const CODE: usize = 32;

/// Makes and reads the cookies of devices; clones share the secrets.
#[derive(Clone, Debug)]
pub(crate) struct Devices(Secrets);

/// A device that has logged in to an account before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Device {
    number: [u8; DEVICE],
    /// The epoch of the account at that time.
    pub(crate) epoch: u64,
}

impl Devices {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self(secrets)
    }

    /// Returns the value of the cookie of a new device, or `None` if the system has no random numbers.
    pub(crate) fn cookie(&self, account: &Email, epoch: u64, now: SystemTime) -> Option<String> {
        let mut bytes = vec![0; DEVICE];
        getrandom::fill(&mut bytes).ok()?;
        bytes.extend(seconds(now).to_be_bytes());
        bytes.extend(epoch.to_be_bytes());
        let code = self.0.code(PURPOSE, &signed(&bytes, account));
        bytes.extend(code);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Returns the device of a cookie that one of the secrets has signed for this account.
    pub(crate) fn recognize(
        &self,
        cookie: &str,
        account: &Email,
        now: SystemTime,
    ) -> Option<Device> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (facts, code) = bytes.split_at_checked(FACTS).filter(|(_, code)| code.len() == CODE)?;
        if !self.0.verify_code(PURPOSE, &signed(facts, account), code) {
            return None;
        }
        let (number, rest) = facts.split_first_chunk::<DEVICE>()?;
        let (since, epoch) = rest.split_first_chunk::<8>()?;
        let age = seconds(now).saturating_sub(u64::from_be_bytes(*since));
        let epoch = u64::from_be_bytes(epoch.try_into().ok()?);
        (age <= LIFETIME.as_secs()).then_some(Device { number: *number, epoch })
    }
}

impl Device {
    /// Returns the budget of the attempts with this cookie, wherever they come from.
    pub(crate) fn budget(&self) -> Budget {
        Budget::of_device(&self.number)
    }
}

fn signed(facts: &[u8], account: &Email) -> Vec<u8> {
    [facts, account.canonical().as_bytes()].concat()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(secrets: &[&str]) -> Devices {
        Devices::new(Secrets::new(secrets).unwrap())
    }

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn a_device_is_recognized_at_its_account_for_its_lifetime() {
        let (new, al) = (devices(&["new", "old"]), email("al@example.com"));
        let now = SystemTime::now();
        let old_cookie = devices(&["old"]).cookie(&al, 7, now).unwrap();
        assert_eq!(new.recognize(&old_cookie, &al, now).unwrap().epoch, 7);
        assert!(new.recognize(&old_cookie, &email("AL@EXAMPLE.com"), now + LIFETIME).is_some());
        let later = now + LIFETIME + Duration::from_secs(1);
        assert_eq!(new.recognize(&old_cookie, &al, later), None);
        assert_eq!(new.recognize(&old_cookie, &email("bo@example.com"), now), None);
        assert_eq!(devices(&["new"]).recognize(&old_cookie, &al, now), None);
        let other = new.recognize(&new.cookie(&al, 7, now).unwrap(), &al, now).unwrap();
        assert_ne!(new.recognize(&old_cookie, &al, now).unwrap(), other);
    }

    #[test]
    fn a_changed_cookie_is_not_recognized() {
        let (devices, al, now) = (devices(&["k"]), email("al@example.com"), SystemTime::now());
        let cookie = devices.cookie(&al, 0, now).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let flipped = URL_SAFE_NO_PAD.encode(flipped);
            assert_eq!(devices.recognize(&flipped, &al, now), None, "{at}");
        }
        for wrong in ["", "x", "ä", &cookie[1..], &format!("{cookie}A"), &format!("{cookie}AAAA")]
        {
            assert_eq!(devices.recognize(wrong, &al, now), None, "{wrong}");
        }
    }
}
