//! E-mail addresses, which identify accounts.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use crate::{UserId, text};

/// The end of what stands in place of the addresses of deleted accounts (RFC 2606: no mail goes there).
const DELETED: &str = "@deleted.invalid";

/// An e-mail address exactly as its owner wrote it; it may be internationalised.
///
/// Two addresses [belong to the same account](Self::is_of_same_account) if their [`canonical`](Self::canonical)
/// forms are equal, so index these forms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// The longest address that SMTP can carry (RFC 5321, erratum 1690).
    pub const MAX_BYTES: usize = 254;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form in which addresses are compared.
    ///
    /// It is in Unicode's normal form C, which RFC 6532 recommends, because a keyboard decides whether an accent is a
    /// character of its own; and in lower case. In theory, the part before the `@` is
    /// case-sensitive; in practice, two accounts that differ only in case belong to the same person.
    pub fn canonical(&self) -> String {
        match self.0.is_ascii() {
            true => self.0.to_ascii_lowercase(),
            false => self.0.nfc().collect::<String>().to_lowercase().nfc().collect(),
        }
    }

    /// Returns whether both belong to the same account.
    pub fn is_of_same_account(&self, other: &Self) -> bool {
        // Mostly both are written in the same way.
        self == other || self.canonical() == other.canonical()
    }

    /// Returns the keys under which an index of addresses may have the account, each once, the likeliest first.
    ///
    /// An account is added under the [`canonical`](Self::canonical) form. Accounts from before normal forms were compared
    /// are under their own form in lower case, which is mostly the given one or the decomposed one. Where two of these accounts
    /// differ in nothing else, each is found by its own form.
    pub fn index_keys(&self) -> Vec<String> {
        let canonical = self.canonical();
        if canonical.is_ascii() && self.0.is_ascii() {
            return vec![canonical];
        }
        let decomposed = self.0.nfd().collect::<String>().to_lowercase();
        let mut keys = vec![self.0.to_lowercase()];
        for key in [canonical, decomposed] {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Returns the canonical form without a subaddress (RFC 5233): without what follows the first `+` in the
    /// part before the `@`. Many servers deliver all of these addresses to the same mailbox.
    pub fn mailbox(&self) -> String {
        let canonical = self.canonical();
        match canonical
            .rsplit_once('@')
            .and_then(|(local, domain)| Some((local.split_once('+')?.0, domain)))
        {
            Some((local, domain)) => format!("{local}@{domain}"),
            None => canonical,
        }
    }
}

impl FromStr for Email {
    type Err = EmailError;

    /// Reads the text without changing it. Blanks around it are an error and are not removed, because
    /// the stored address would then differ from the given one.
    fn from_str(text: &str) -> Result<Self, EmailError> {
        let email = Self::known(text)?;
        let is_unseen = |c| text::is_invisible(c) || text::is_bidi_control(c);
        let is_seen = email.0.is_ascii() || !email.0.chars().any(is_unseen);
        if is_seen { Ok(email) } else { Err(EmailError::Invisible) }
    }
}

impl Email {
    /// Reads the address of an account that may have been created when invisible characters were still
    /// accepted.
    ///
    /// # Errors
    ///
    /// The first of the other rules that the text violates.
    pub fn known(text: &str) -> Result<Self, EmailError> {
        let email = Self::stored(text)?;
        match email.is_of_deleted() {
            true => Err(EmailError::OfDeleted),
            false => Ok(email),
        }
    }

    /// Returns what stands in place of the address of a deleted account. It is only [`stored`](Self::stored):
    /// nobody can give it as an address.
    #[must_use]
    pub fn of_deleted(id: UserId) -> Self {
        Self(format!("deleted-{id}{DELETED}"))
    }

    fn is_of_deleted(&self) -> bool {
        let at = self.0.len().saturating_sub(DELETED.len());
        self.0.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(DELETED))
    }

    /// Reads the address in the record of an account, which may be deleted.
    ///
    /// # Errors
    ///
    /// As [`known`](Self::known), except that the address may be that of a deleted account.
    pub fn stored(text: &str) -> Result<Self, EmailError> {
        if text.len() > Self::MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        // Most addresses are ASCII, whose bytes are compared faster than characters.
        let has_blanks = match text.is_ascii() {
            true => !text.bytes().all(|byte| byte.is_ascii_graphic()),
            false => text.chars().any(|c| c.is_control() || c.is_whitespace()),
        };
        if has_blanks {
            return Err(EmailError::Blank);
        }
        let (local, domain) = text.split_once('@').ok_or(EmailError::NotOneAt)?;
        if domain.contains('@') {
            return Err(EmailError::NotOneAt);
        }
        if local.is_empty() || domain.is_empty() {
            return Err(EmailError::EmptyPart);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The reason why a text is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailError {
    TooLong,
    Blank,
    Invisible,
    NotOneAt,
    EmptyPart,
    OfDeleted,
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "must be at most 254 bytes long",
            Self::Blank => "must not contain blanks or control characters",
            Self::Invisible => "must not contain invisible characters",
            Self::NotOneAt => "must contain exactly one @",
            Self::EmptyPart => "must have something before and after the @",
            Self::OfDeleted => {
                "must not end in @deleted.invalid, which stands for deleted accounts"
            }
        })
    }
}

impl Error for EmailError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_as_written() {
        let longest = format!("{}@example.com", "x".repeat(254 - 12));
        for text in [
            "al.appelhof@example.com",
            "Zoë+tag@example.com",
            "o'brien@example.com",
            "foo|al.appelhof@example.com",
            "дмитрий@example.org",
            "x@localhost",
            &longest,
        ] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_rule_has_its_error() {
        for (text, error) in [
            ("", EmailError::NotOneAt),
            ("al.appelhof", EmailError::NotOneAt),
            ("a@b@c", EmailError::NotOneAt),
            ("@example.com", EmailError::EmptyPart),
            ("al@", EmailError::EmptyPart),
            (" al@example.com", EmailError::Blank),
            ("al@example.com\n", EmailError::Blank),
            ("deleted-33@deleted.invalid", EmailError::OfDeleted),
            ("é@Deleted.Invalid", EmailError::OfDeleted),
            ("a\u{a0}l@example.com", EmailError::Blank),
            ("a\0l@example.com", EmailError::Blank),
            ("a\u{200b}l@example.com", EmailError::Invisible),
            ("a\u{200d}l@example.com", EmailError::Invisible),
            ("al@exam\u{200c}ple.com", EmailError::Invisible),
            ("al@example.com\u{200e}", EmailError::Invisible),
            ("\u{202e}al@example.com", EmailError::Invisible),
            ("a\u{ad}l@example.com", EmailError::Invisible),
            ("al@example.com\u{e0061}", EmailError::Invisible),
            (&format!("{}@example.com", "x".repeat(255 - 12)), EmailError::TooLong),
            (&format!("{}@example.com", "é".repeat(122)), EmailError::TooLong),
        ] {
            assert_eq!(text.parse::<Email>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn addresses_of_older_accounts_are_accepted() {
        assert_eq!(
            Email::known("a\u{200d}l@example.com").unwrap().as_str(),
            "a\u{200d}l@example.com"
        );
        assert_eq!(Email::known("a l@example.com"), Err(EmailError::Blank));
    }

    #[test]
    fn subaddresses_have_the_same_mailbox() {
        for (address, mailbox) in [
            ("Al@Example.com", "al@example.com"),
            ("al+1@example.com", "al@example.com"),
            ("AL+a+b@example.com", "al@example.com"),
            ("+1@example.com", "@example.com"),
        ] {
            assert_eq!(address.parse::<Email>().unwrap().mailbox(), mailbox, "{address}");
        }
    }

    #[test]
    fn addresses_that_differ_in_case_are_the_same_account() {
        let canonical = |text: &str| text.parse::<Email>().unwrap().canonical();
        assert_eq!(canonical("Al.Appelhof@Example.COM"), "al.appelhof@example.com");
        assert_eq!(canonical("ДМИТРИЙ@example.org"), canonical("дмитрий@example.org"));
    }

    #[test]
    fn addresses_that_differ_in_their_normal_form_are_the_same_account() {
        let email = |text: &str| text.parse::<Email>().unwrap();
        let (composed, decomposed) = ("zo\u{eb}@example.com", "zoe\u{308}@example.com");
        assert_eq!(email(decomposed).as_str(), decomposed);
        assert_eq!(email("ZOE\u{308}@Example.com").canonical(), composed);
        assert_ne!(email("zoe@example.com").canonical(), composed);
        assert_eq!(email("Zoe@Example.com").index_keys(), ["zoe@example.com"]);
        assert_eq!(email("Zo\u{eb}@example.com").index_keys(), [composed, decomposed]);
        assert_eq!(email("Zoe\u{308}@example.com").index_keys(), [decomposed, composed]);
        let mixed = "zo\u{eb}@e\u{301}.example";
        let keys = [mixed, "zo\u{eb}@\u{e9}.example", "zoe\u{308}@e\u{301}.example"];
        assert_eq!(email(mixed).index_keys(), keys);
        // The Kelvin sign is another character for the letter.
        assert_eq!(email("\u{212a}@example.com").index_keys(), ["k@example.com"]);
    }

    #[test]
    fn the_canonical_form_is_the_same_for_each_normal_form_and_is_its_own() {
        let canonical = |text: String| Email(text).canonical();
        let mut differ = Vec::new();
        for character in '\0'..='\u{1ffff}' {
            let address = format!("a{character}b@example.com");
            let one = canonical(address.clone());
            let forms = [address.nfc().collect(), address.nfd().collect(), one.clone()];
            if forms.map(canonical).iter().any(|form| *form != one) {
                differ.push(address);
            }
        }
        assert_eq!(differ, [""; 0]);
    }

    #[test]
    fn only_a_record_has_the_address_of_a_deleted_account() {
        let id = UserId::try_from(33).unwrap();
        let stored = Email::stored("deleted-33@deleted.invalid");
        assert_eq!(stored, Ok(Email::of_deleted(id)));
        assert_eq!(Email::known("deleted-33@deleted.invalid"), Err(EmailError::OfDeleted));
        assert!(Email::known("a@deleted.invalid.example").is_ok());
    }
}
