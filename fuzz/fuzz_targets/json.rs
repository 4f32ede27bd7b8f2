//! See `cxtract_fuzz::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::json::holds(data));
