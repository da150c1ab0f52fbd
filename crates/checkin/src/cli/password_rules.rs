//! The settings about new passwords.

use clap::Args;

use crate::config::integer;
use crate::passwords::{DEFAULT_MIN_CHARS, HIGHEST_MIN_CHARS, LOWEST_MIN_CHARS, PasswordPolicy};

/// The settings about new passwords, of the authentication service and of the commands that ask for one.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct PasswordRules {
    /// Minimum number of characters of a new password, 8 to 64
    #[arg(
        long,
        env = "CHECKIN_MIN_PASSWORD_LENGTH",
        value_name = "NUMBER",
        default_value_t = DEFAULT_MIN_CHARS,
        value_parser = integer::<usize>(LOWEST_MIN_CHARS as u64..=HIGHEST_MIN_CHARS as u64)
    )]
    min_password_length: usize,
}

impl PasswordRules {
    pub(super) fn policy(self) -> PasswordPolicy {
        PasswordPolicy { min_chars: self.min_password_length }
    }
}
