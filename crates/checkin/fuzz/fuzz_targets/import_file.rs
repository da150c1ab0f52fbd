//! See `checkin::fuzzing::import_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checkin::fuzzing::import_file(input));
