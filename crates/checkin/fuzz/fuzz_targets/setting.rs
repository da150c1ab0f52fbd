//! See `checkin::fuzzing::setting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| checkin::fuzzing::setting(input));
