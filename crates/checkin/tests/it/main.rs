//! The program from outside: the real binary on real stores, beside a real Express service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg_attr(
    not(feature = "external-tests"),
    expect(dead_code, unused_imports, reason = "for the tests that this feature adds")
)]

mod account_sessions;
mod administration;
mod api;
mod api_stream;
mod api_weather;
mod authenticator;
mod backup;
#[cfg(feature = "external-tests")]
mod bad_input;
#[cfg(feature = "external-tests")]
mod cached_sessions;
#[cfg(feature = "external-tests")]
#[path = "../chaos/mod.rs"]
mod chaos;
mod command_line;
mod comments;
mod console;
#[cfg(feature = "external-tests")]
mod costs;
#[cfg(feature = "external-tests")]
mod deletions;
mod deployment;
mod document;
mod doors;
mod drains;
mod edge;
mod encrypted_sessions;
mod ended_meanwhile;
mod ends;
#[cfg(feature = "external-tests")]
mod erasure;
mod exactly_once;
mod exports;
#[cfg(feature = "external-tests")]
mod fail_overs;
mod floods;
mod generate;
mod guesses;
mod hang_ups;
mod harness;
mod idempotency;
mod imports;
mod intruders;
#[cfg(feature = "external-tests")]
mod least_privilege;
mod lifetimes;
mod loads;
#[cfg(feature = "external-tests")]
mod log_lines;
mod login_bursts;
mod logins;
mod mail;
#[cfg(feature = "external-tests")]
mod mail_server;
#[cfg(feature = "external-tests")]
mod many_sessions;
#[cfg(feature = "external-tests")]
mod metrics;
#[cfg(feature = "external-tests")]
mod monitoring;
mod obstacles;
#[cfg(feature = "external-tests")]
mod open_files;
mod operations;
mod operators;
mod outages;
mod pages;
mod passkeys;
mod password_changes;
mod passwords;
mod pending_steps;
#[cfg(feature = "external-tests")]
mod postman;
mod privacy;
mod private_checkins;
mod processor;
mod protocol;
#[cfg(feature = "external-tests")]
mod proxies;
mod readme;
mod refusal;
mod revocations;
#[cfg(feature = "external-tests")]
mod rolling_restart;
#[cfg(feature = "external-tests")]
mod route_table;
mod schemathesis;
mod second_factors;
mod secret_reload;
mod security_events;
#[cfg(feature = "external-tests")]
mod session_metrics;
mod shared_sessions;
mod shells;
mod slow_clients;
mod small_answers;
mod sqlite_doctor;
mod sqlite_file;
mod survival;
mod terminal;
mod top;
#[cfg(feature = "external-tests")]
mod traces;
mod under_way;
mod unreadable;
mod upgrade;
mod walkthrough;
