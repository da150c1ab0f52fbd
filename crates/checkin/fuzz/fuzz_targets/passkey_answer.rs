//! See `checkin::fuzzing::passkey_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checkin::fuzzing::passkey_answer(input));
