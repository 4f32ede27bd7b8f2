//! See `cxtract_fuzz::framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cxtract_fuzz::framing::holds(data));
