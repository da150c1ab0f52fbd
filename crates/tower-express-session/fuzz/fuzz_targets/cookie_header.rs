//! Feeds any bytes to the rules of `cookie_header`.
#![no_main]

#[path = "../rules/cookie_header.rs"]
mod cookie_header;

libfuzzer_sys::fuzz_target!(|input: &[u8]| cookie_header::check_input(input));
