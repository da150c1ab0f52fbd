//! Feeds any bytes to the rules of `unsign`.
#![no_main]

#[path = "../rules/unsign.rs"]
mod unsign;

libfuzzer_sys::fuzz_target!(|input: &[u8]| unsign::check_input(input));
