//! Feeds any bytes to the rules of `merge`.
#![no_main]

#[path = "../rules/merge.rs"]
mod merge;

libfuzzer_sys::fuzz_target!(|input: &[u8]| merge::check_input(input));
