//! See `cxtract_fuzz::retry_after`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::retry_after::holds(data));
