//! See `checkin::fuzzing::stored_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| checkin::fuzzing::stored_text(input));
