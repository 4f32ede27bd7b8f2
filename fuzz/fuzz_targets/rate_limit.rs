//! See `cxtract_fuzz::rate_limit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::rate_limit::holds(data));
