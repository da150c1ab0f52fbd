//! Feeds any bytes to the rules of `record_json`.
#![no_main]

#[path = "../rules/record_json.rs"]
mod record_json;

libfuzzer_sys::fuzz_target!(|input: &[u8]| record_json::check_input(input));
