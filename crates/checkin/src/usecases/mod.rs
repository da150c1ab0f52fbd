//! The use cases, without HTTP: each takes types of the domain and has errors of its own. A service
//! reads a request, calls one use case, and answers.

pub(crate) mod account_deletion;
pub(crate) mod account_sessions;
pub(crate) mod accounts;
pub(crate) mod administration;
pub(crate) mod check_in;
pub(crate) mod confirmation;
pub(crate) mod demo_account;
pub(crate) mod devices;
pub(crate) mod enrolment;
pub(crate) mod feed;
pub(crate) mod guesses;
mod local_time;
pub(crate) mod locations;
pub(crate) mod login;
pub(crate) mod look_ups;
pub(crate) mod named_checkins;
pub(crate) mod nearby;
pub(crate) mod newcomers;
pub(crate) mod overview;
mod passkeys;
pub(crate) mod password_change;
pub(crate) mod password_reset;
pub(crate) mod registration;
pub(crate) mod revocation;
pub(crate) mod second_factors;
mod second_login;
pub(crate) mod security_history;
pub(crate) mod security_log;
pub(crate) mod session_census;
pub(crate) mod session_change;
pub(crate) mod statistics;
pub(crate) mod tasks;
pub(crate) mod throttle;
pub(crate) mod upstream;
pub(crate) mod weather;
pub(crate) mod whereabouts;
