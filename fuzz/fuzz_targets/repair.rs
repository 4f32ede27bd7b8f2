//! See `cxtract_fuzz::repair`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::repair::holds(data));
