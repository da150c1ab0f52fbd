//! The rules for a password that somebody chooses, after NIST SP 800-63B-4, section 3.1.1.2: a minimum
//! length, and neither a common password nor the owner's own names. There are no rules about kinds of
//! characters.

use super::{normal, plausible};
use crate::domain::Email;

/// The default of `--min-password-length`: what NIST demands of a password without a second factor.
pub const DEFAULT_MIN_CHARS: usize = 15;

/// The lowest value of `--min-password-length`: what NIST demands of a password beside a second factor.
pub const LOWEST_MIN_CHARS: usize = 8;

/// The highest value of `--min-password-length`. NIST demands that passwords of 64 characters are
/// accepted.
pub const HIGHEST_MIN_CHARS: usize = 64;

/// Common passwords in lower case, one a line, after the notice of their origin. No password that is
/// accepted otherwise is a line of the notice.
const COMMON: &str = include_str!("common_passwords.txt");

/// The name of the service, which is an obvious part of a password.
const SERVICE: &str = "checkin";

/// The rules for new passwords.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// The minimum number of characters.
    pub min_chars: usize,
}

/// The texts about the owner of a password that are known to others.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The first name.
    pub first_name: &'a str,
    /// The last name.
    pub last_name: &'a str,
    /// The e-mail address.
    pub email: &'a Email,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_chars: DEFAULT_MIN_CHARS }
    }
}

impl PasswordPolicy {
    /// Checks a password that `owner` chose.
    ///
    /// # Errors
    ///
    /// The broken rule.
    pub fn check(self, password: &str, owner: Owner<'_>) -> Result<(), String> {
        let Self { min_chars } = self;
        plausible(password.to_owned())?;
        let normal = normal(password);
        if normal.chars().count() < min_chars {
            return Err(format!("must have at least {min_chars} characters"));
        }
        let folded = normal.to_lowercase();
        if COMMON.lines().any(|common| common == folded) {
            return Err("must not be a common password".to_owned());
        }
        if is_made_of(&letters(&folded), &owner.words()) {
            return Err(
                "must not consist of the account's names, its e-mail address or the name of \
                        this service"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl Owner<'_> {
    /// Returns the letters of each text.
    fn words(&self) -> Vec<String> {
        let email = self.email.as_str();
        let local = email.split('@').next().unwrap_or_default();
        let texts = [self.first_name, self.last_name, email, local, SERVICE];
        let words = texts.map(|text| letters(&normal(text).to_lowercase()));
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }
}

/// Returns the letters of a text, without the digits, blanks and punctuation that people add to a name.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

/// Returns whether a text with letters is a sequence of these words, each any number of times.
fn is_made_of(text: &str, words: &[String]) -> bool {
    // Whether the text up to each byte is such a sequence.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for start in 0..text.len() {
        if reached[start] {
            for word in words.iter().filter(|word| text[start..].starts_with(*word)) {
                reached[start + word.len()] = true;
            }
        }
    }
    !text.is_empty() && reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON_RULE: &str = "must not be a common password";
    const OWN_RULE: &str =
        "must not consist of the account's names, its e-mail address or the name of this service";

    fn checked(min_chars: usize, password: &str) -> Result<(), String> {
        let email = "al.appelhof77@example.com".parse().unwrap();
        let owner = Owner { first_name: "Zo\u{eb}", last_name: "van Dijk", email: &email };
        PasswordPolicy { min_chars }.check(password, owner)
    }

    #[test]
    fn each_rule_has_its_error() {
        for (password, expected) in [
            ("fourteen chars", Err("must have at least 15 characters")),
            ("15 characters !", Ok(())),
            ("aaaaaaaaaaaaaab", Ok(())),
            // Each is one character of the normal form.
            (&"e\u{301}".repeat(14), Err("must have at least 15 characters")),
            (&"e\u{301}".repeat(15), Ok(())),
            (&"\u{1f600}".repeat(128), Ok(())),
            (&"x".repeat(512), Ok(())),
            (&"x".repeat(513), Err("must have at most 512 bytes")),
            ("123456789987654321", Err(COMMON_RULE)),
            ("PasswordPassword", Err(COMMON_RULE)),
            ("passwordpassword.", Ok(())),
            ("zo\u{eb} van dijk 2026", Err(OWN_RULE)),
            ("ZOE\u{308}-VAN-DIJK-12", Err(OWN_RULE)),
            ("al.appelhof77@example.com", Err(OWN_RULE)),
            ("Al.Appelhof/Al.Appelhof", Err(OWN_RULE)),
            ("checkin checkin!", Err(OWN_RULE)),
            ("checkin Zo\u{eb} 12345678", Err(OWN_RULE)),
            ("zo\u{eb} van dijk rides", Ok(())),
            ("384756102938475", Ok(())),
        ] {
            assert_eq!(checked(15, password), expected.map_err(str::to_owned), "{password:?}");
        }
    }

    /// OWASP ASVS 5, 6.2.4 demands the 3,000 most common ones that match the minimum length.
    #[test]
    fn common_passwords_of_the_lowest_minimum_are_listed() {
        let common = COMMON.lines().filter(|line| !line.starts_with("# ") && *line != "#");
        assert!(
            common.clone().filter(|line| line.chars().count() >= LOWEST_MIN_CHARS).count() > 5000
        );
        assert!(common.clone().all(|line| line.to_lowercase() == line));
        for password in ["password", "12345678", "BASEBALL", "qwertyuiop", "iloveyou"] {
            assert_eq!(checked(8, password), Err(COMMON_RULE.to_owned()), "{password:?}");
        }
    }
}
