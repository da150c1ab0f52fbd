//! See `checkin::fuzzing::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checkin::fuzzing::request_head(input));
