//! `Strict-Transport-Security`: makes browsers that used TLS once use only TLS.

use std::time::Duration;

use axum::http::HeaderValue;

/// The settings of the header (RFC 6797).
#[derive(Clone, Copy, Debug)]
pub struct StrictTransport {
    /// `--hsts-max-age`, in whole seconds. 0 makes browsers drop the rule.
    pub max_age: Duration,
    /// `--hsts-include-subdomains`: the rule includes all hosts below this one.
    pub include_subdomains: bool,
}

impl StrictTransport {
    /// Returns the value of the header, for responses over TLS. Over plain HTTP anybody could write it,
    /// and browsers ignore it there.
    pub(super) fn value(self) -> Option<HeaderValue> {
        let and_below = if self.include_subdomains { "; includeSubDomains" } else { "" };
        HeaderValue::try_from(format!("max-age={}{and_below}", self.max_age.as_secs())).ok()
    }
}
