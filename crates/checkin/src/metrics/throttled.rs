//! What was refused because there was too much of it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The number of refused requests, by reason; clones share the counts.
#[derive(Clone, Debug)]
pub struct Throttled {
    refused: Family<Reason, Counter>,
    /// Check-ins of a user who makes too many.
    pub checkin_rate: Counter,
    /// Check-ins while too many wait to be applied.
    pub backlog: Counter,
    /// Logins of unknown devices to an account with too many wrong passwords.
    pub account_failures: Counter,
    /// Logins from a network address with too many wrong passwords.
    pub address_failures: Counter,
    /// Too many wrong passwords from a device that has logged in before, or in a session.
    pub known_failures: Counter,
    /// Requests of a session, or of a network without one, that makes too many.
    pub request_rate: Counter,
    /// Registrations from a network with too many.
    pub registrations: Counter,
    /// Look-ups of e-mail addresses by an account that makes too many.
    pub lookups: Counter,
    /// Look-ups of new accounts that make too many.
    pub newcomers: Counter,
    /// Passwords that were not checked or hashed, because too many wait.
    pub busy: Counter,
    /// Event streams above a maximum number.
    pub event_streams: Counter,
    /// Connections above a maximum number.
    pub connections: Counter,
    /// Requests above the maximum number in progress of an address or a session, and statistics above that of a user.
    pub requests: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl Default for Throttled {
    fn default() -> Self {
        let refused = Family::<Reason, Counter>::default();
        let of = |reason| refused.get_or_create_owned(&Reason { reason });
        Self {
            checkin_rate: of("checkin_rate"),
            backlog: of("backlog"),
            account_failures: of("account_failures"),
            address_failures: of("address_failures"),
            known_failures: of("known_failures"),
            request_rate: of("request_rate"),
            registrations: of("registrations"),
            lookups: of("lookups"),
            newcomers: of("newcomers"),
            busy: of("passwords_busy"),
            event_streams: of("event_streams"),
            connections: of("connections"),
            requests: of("requests"),
            refused,
        }
    }
}

impl Throttled {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "checkin_throttled",
            "Requests that were refused because there were too many",
            self.refused.clone(),
        );
    }
}
