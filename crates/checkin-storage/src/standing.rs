//! The standing of an account: its status, its role, and which of its sessions are valid.

use std::fmt;
use std::str::FromStr;

use crate::EventKind;

/// The standing of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The epoch, which increases whenever sessions of the account are ended. Sessions of an earlier
    /// epoch have ended.
    pub epoch: u64,
    /// The handle of the session that ended the others, and is valid although it has an earlier epoch.
    pub kept: Option<String>,
    /// Whether the account may be used. If not, none of its sessions is valid.
    pub status: Status,
    /// What the account may do.
    pub role: Role,
}

impl Standing {
    /// Returns whether a session with this epoch and this handle is valid. A session of an Express
    /// service has no epoch. If the account is active, it is valid until it is found and ended.
    #[must_use]
    pub fn admits(&self, epoch: Option<u64>, handle: impl FnOnce() -> String) -> bool {
        let is_current = epoch.is_none_or(|epoch| epoch >= self.epoch);
        self.is_active() && (is_current || self.kept.as_ref().is_some_and(|kept| *kept == handle()))
    }

    /// Returns whether what was valid at an epoch of the account is still valid: nothing has ended sessions since
    /// then, or the last one to do so was this session.
    #[must_use]
    pub fn still_admits(&self, admitted: &Admitted) -> bool {
        let is_kept = || self.kept.is_some() && self.kept == admitted.handle;
        self.is_active() && (self.epoch == admitted.epoch || is_kept())
    }

    /// Returns whether people can log in to the account.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }
}

/// What asks for a change of an account, and was valid for it: a session, or the token of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The epoch of the account at which it was valid.
    pub epoch: u64,
    /// The handle of the session, if it is one.
    pub handle: Option<String>,
}

/// A change of an account that ends its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Gives the account this status.
    Status(Status),
    /// Gives the account this role.
    Role(Role),
}

macro_rules! names {
    ($names:ident: $($name:ident = $text:literal),*; unknown: $unknown:ident) => {
        impl $names {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }

            /// Reads a stored name. An account without one has the default; a name that a later version
            /// has stored is read as the value that permits the least of an account that exists.
            #[must_use]
            pub fn stored(name: Option<&str>) -> Self {
                match name {
                    None => Self::default(),
                    Some(name) => name.parse().unwrap_or(Self::$unknown),
                }
            }
        }

        impl fmt::Display for $names {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $names {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().find(|value| value.as_str() == text).copied();
                found.ok_or_else(|| format!("must be {}", [$($text),*].join(" or ")))
            }
        }
    };
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Its person can log in.
    #[default]
    Active,
    /// Nobody can log in until it is active again.
    Disabled,
    /// Nobody can ever log in. Its personal data have been erased, or will be when its sessions have been
    /// searched for.
    Deleted,
}

impl Status {
    /// Returns the security event of a change to this status.
    #[must_use]
    pub fn event(self) -> EventKind {
        match self {
            Self::Active => EventKind::AccountEnabled,
            Self::Disabled => EventKind::AccountDisabled,
            Self::Deleted => EventKind::AccountDeleted,
        }
    }
}

names! { Status: Active = "active", Disabled = "disabled", Deleted = "deleted"; unknown: Disabled }

/// What an account may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It acts for its own user only.
    #[default]
    User,
    /// It also ends the sessions of other accounts, and disables and enables them.
    Operator,
}

names! { Role: User = "user", Operator = "operator"; unknown: User }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_permit_the_least() {
        assert_eq!(Status::stored(None), Status::Active);
        assert_eq!(Role::stored(None), Role::User);
        for status in Status::ALL {
            assert_eq!(Status::stored(Some(status.as_str())), *status);
        }
        for role in Role::ALL {
            assert_eq!(Role::stored(Some(role.as_str())), *role);
        }
        assert_eq!(Status::stored(Some("suspended")), Status::Disabled);
        assert_eq!(Role::stored(Some("OPERATOR")), Role::User);
        assert_eq!("admin".parse::<Role>(), Err("must be user or operator".to_owned()));
    }

    #[test]
    fn only_the_last_one_to_end_sessions_is_valid_in_a_later_epoch() {
        let now = Standing { epoch: 3, kept: Some("kept".to_owned()), ..Standing::default() };
        let nobody = Standing { kept: None, ..now.clone() };
        for (epoch, handle, by_now, by_nobody) in [
            (3, Some("other"), true, true),
            (3, None, true, true),
            (2, Some("kept"), true, false),
            (2, Some("other"), false, false),
            (2, None, false, false),
            (4, Some("other"), false, false),
        ] {
            let admitted = Admitted { epoch, handle: handle.map(str::to_owned) };
            assert_eq!(now.still_admits(&admitted), by_now, "{admitted:?}");
            assert_eq!(nobody.still_admits(&admitted), by_nobody, "{admitted:?}");
            let disabled = Standing { status: Status::Disabled, ..now.clone() };
            assert!(!disabled.still_admits(&admitted), "{admitted:?}");
        }
    }

    #[test]
    fn only_an_active_account_admits_sessions() {
        let standing = |status| Standing {
            epoch: 3,
            kept: Some("kept".to_owned()),
            status,
            ..Standing::default()
        };
        for (epoch, handle, admitted) in [
            (Some(2), "other", false),
            (Some(3), "other", true),
            (Some(2), "kept", true),
            (None, "other", true),
        ] {
            let admits = |status| standing(status).admits(epoch, || handle.to_owned());
            assert_eq!(admits(Status::Active), admitted, "{epoch:?} {handle}");
            assert!(!admits(Status::Disabled), "{epoch:?} {handle}");
            assert!(!admits(Status::Deleted), "{epoch:?} {handle}");
        }
    }
}
