//! Feeds any bytes to the rules of `encrypted_value`.
#![no_main]

#[path = "../rules/encrypted_value.rs"]
mod encrypted_value;

libfuzzer_sys::fuzz_target!(|input: &[u8]| encrypted_value::check_input(input));
