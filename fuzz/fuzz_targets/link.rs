//! See `cxtract_fuzz::link`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::link::holds(data));
