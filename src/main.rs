//! The `cxtract` program.
fn main() {}
