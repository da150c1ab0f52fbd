//! The thousand users.

use std::collections::HashSet;

use super::names::LANGUAGES;
use super::{LOGIN, PASSWORD};
use crate::domain::{Email, UserId};
use crate::import::{Password, UserRecord};
use crate::random::Random;

pub(super) const COUNT: u64 = 1000;

/// Al, who is the login of every example.
pub(super) const AL: u64 = 77;

/// Domains that are reserved for documentation (RFC 2606), so that nobody gets mail from the demo.
const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.net"];

pub(super) fn users() -> Vec<UserRecord> {
    let mut random = Random::new(1);
    let mut addresses = HashSet::from([LOGIN.to_owned()]);
    (1..=COUNT)
        .map(|id| match id {
            AL => user(id, "Al", "Appelhof", LOGIN),
            _ => stranger(id, &mut random, &mut addresses),
        })
        .collect()
}

/// Draws a user. It repeats until the address is free; there are far more addresses than users.
fn stranger(id: u64, random: &mut Random, addresses: &mut HashSet<String>) -> UserRecord {
    loop {
        let language = random.pick(LANGUAGES);
        let first = Name::pick(language.first, random);
        let last = Name::pick(language.last, random);
        let address = format!("{}@{}", mailbox(&first, &last, random), random.pick(&DOMAINS));
        let user = user(id, &first.native, &last.native, &address);
        if addresses.insert(user.email.canonical()) {
            return user;
        }
    }
}

fn user(id: u64, first: &str, last: &str, address: &str) -> UserRecord {
    UserRecord {
        id: UserId::try_from(id).expect("ids go from 1 to the number of users"),
        first_name: first.to_owned(),
        last_name: last.to_owned(),
        email: address.parse::<Email>().expect("the names hold no blanks once they are joined"),
        password: Password::Plain(PASSWORD.to_owned()),
        num_checkins: 0,
        last_checkin: None,
        last_seen_at: None,
    }
}

/// A name as it is written, and its form in an e-mail address.
struct Name {
    native: String,
    ascii: String,
}

impl Name {
    fn pick(list: &str, random: &mut Random) -> Self {
        let names: Vec<&str> = list.split_whitespace().collect();
        let name = *random.pick(&names);
        let (native, ascii) = name.split_once('=').unwrap_or((name, name));
        Self {
            native: native.replace('_', " "),
            ascii: ascii.replace(['_', 'ʻ'], "").to_lowercase(),
        }
    }

    fn is_ascii(&self) -> bool {
        self.native.is_ascii()
    }

    fn native_mailbox(&self) -> String {
        self.native.replace(' ', "").to_lowercase()
    }
}

/// Draws the part before the `@`: for most users first.last.
fn mailbox(first: &Name, last: &Name, random: &mut Random) -> String {
    let (f, l) = (&first.ascii, &last.ascii);
    let initial = f.get(..1).unwrap_or_default();
    match random.below(100) {
        0..58 => format!("{f}.{l}"),
        58..66 => format!("{initial}.{l}"),
        66..72 => format!("{f}{l}"),
        72..78 => format!("{f}_{l}"),
        78..83 => format!("{l}.{f}"),
        83..88 => format!("{f}-{l}"),
        88..93 => format!("{f}.{l}+checkin"),
        93..97 if !first.is_ascii() && !last.is_ascii() => {
            format!("{}.{}", first.native_mailbox(), last.native_mailbox())
        }
        _ => format!("{f}.{l}{:02}", random.below(100)),
    }
}
