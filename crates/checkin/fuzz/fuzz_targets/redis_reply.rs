//! See `checkin_redis::fuzzing::redis_reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| checkin_redis::fuzzing::redis_reply(input));
