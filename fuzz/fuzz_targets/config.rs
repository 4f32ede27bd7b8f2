//! See `cxtract_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::config::holds(data));
