//! The record of logins, logouts and changes of accounts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;
use checkin_domain::UserId;

/// Records security events and returns them.
///
/// # Contract
///
/// - Each list has bounds of its own: however many events one has, they push no event of another one out.
/// - An event has the time of the store's clock.
/// - Each record of an event removes the oldest ones of its list beyond the number, and nothing from other lists.
/// - Events remain, however old they are, until [`remove_old_events`](Self::remove_old_events) removes them.
#[async_trait]
pub trait SecurityEvents: Send + Sync {
    /// Records an event in a list, and removes the oldest ones beyond this number from it.
    async fn record_event(&self, list: EventList, event: &SecurityEvent, number: u64)
    -> Result<()>;

    /// Removes events that are older than `age`, by the clock of the store, from all lists. One call takes the store
    /// a short time, so it may leave some: then it returns true. If some lists cannot be changed, the others are.
    async fn remove_old_events(&self, age: Duration) -> Result<bool>;

    /// Returns the events of a list behind a position, the oldest first, at most `limit`. An event that
    /// cannot be read is left out.
    async fn security_events(
        &self,
        list: EventList,
        after: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>>;

    /// Returns the events of a list before a position, the newest first, at most `limit`. An event that
    /// cannot be read is left out.
    async fn latest_security_events(
        &self,
        list: EventList,
        before: EventPosition,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>>;
}

/// Something that happened to an account or to its sessions. It contains no secret, no e-mail address and no
/// session id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// What happened.
    pub kind: EventKind,
    /// The account that it happened to; `None` if there is no such account, or if it happened to all.
    pub account: Option<UserId>,
    /// The network address that the request came from; `None` if it is not known, and for commands.
    pub address: Option<IpAddr>,
    /// The service or the command that did it.
    pub source: String,
    /// More about it, such as a role, the handle of a session or a number of sessions.
    pub detail: Option<String>,
}

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The position in its list.
    pub position: EventPosition,
    /// The event.
    pub event: SecurityEvent,
}

/// A position in a list of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPosition {
    /// The time in milliseconds since 1970.
    pub ms: u64,
    /// Tells events of the same time apart.
    pub seq: u64,
}

impl EventPosition {
    /// The position behind all events.
    pub const END: Self = Self { ms: i64::MAX.unsigned_abs(), seq: i64::MAX.unsigned_abs() };

    /// Returns the position before all events of a time (ms) and later.
    #[must_use]
    pub fn before(ms: u64) -> Self {
        match ms.checked_sub(1) {
            Some(ms) => Self { ms, seq: i64::MAX.unsigned_abs() },
            None => Self { ms: 0, seq: 0 },
        }
    }
}

/// The lists of events, by what it takes to cause one. Events of the same time are in the order of their lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventList {
    /// Failed logins, and failed second factors: strangers can cause them.
    FailedLogins,
    /// Changes that people make to their own accounts, new accounts, and messages that reset a password. Before there were
    /// the next two lists, all events but failed logins were in this one.
    Changes,
    /// Logins, logouts, and the ends of one's own sessions: anybody with an account can cause as many as they like.
    Logins,
    /// What operators do to accounts of others, and commands to any account: only operators can cause it.
    Operators,
}

impl EventList {
    /// All lists, in their order.
    pub const ALL: [Self; 4] = [Self::FailedLogins, Self::Changes, Self::Logins, Self::Operators];

    /// Returns whether the list can have events of this kind.
    #[must_use]
    pub fn may_have(self, kind: EventKind) -> bool {
        match (self, kind.list()) {
            (Self::Changes | Self::Operators, list) => list != Self::FailedLogins,
            (_, list) => list == self,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)*
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the name of the kind.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A session was logged in.
    Login = "login",
    /// A password was wrong, at a login or at a change of the password.
    FailedLogin = "failed-login",
    /// A session was logged out.
    Logout = "logout",
    /// Sessions of the account, or of all accounts, were revoked.
    SessionsRevoked = "sessions-revoked",
    /// The account was opened.
    AccountOpened = "account-opened",
    /// The account was disabled.
    AccountDisabled = "account-disabled",
    /// The account was enabled again.
    AccountEnabled = "account-enabled",
    /// The account was deleted.
    AccountDeleted = "account-deleted",
    /// The password was changed.
    PasswordChanged = "password-changed",
    /// A message to reset the password was sent.
    PasswordResetSent = "password-reset-sent",
    /// The role was changed.
    RoleChanged = "role-changed",
    /// A second factor was added.
    SecondFactorAdded = "second-factor-added",
    /// A second factor was removed, or all of them.
    SecondFactorRemoved = "second-factor-removed",
    /// New recovery codes replaced the ones before.
    RecoveryCodesReplaced = "recovery-codes-replaced",
    /// A recovery code was used.
    RecoveryCodeUsed = "recovery-code-used",
    /// After a right password, the second factor was wrong.
    FailedSecondFactor = "failed-second-factor",
}

impl EventKind {
    /// Returns the list that an event of this kind belongs to, unless an operator caused it.
    #[must_use]
    pub fn list(self) -> EventList {
        match self {
            Self::FailedLogin | Self::FailedSecondFactor => EventList::FailedLogins,
            Self::Login | Self::Logout | Self::SessionsRevoked => EventList::Logins,
            _ => EventList::Changes,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> std::result::Result<Self, UnknownKind> {
        Self::ALL.iter().find(|kind| kind.as_str() == text).copied().ok_or(UnknownKind)
    }
}

/// A text is not the name of a kind of security event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind;

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        write!(f, "must be {}", names.join(", "))
    }
}

impl std::error::Error for UnknownKind {}
