//! What must hold for every input, whatever it is.
//!
//! Each module has one function `holds` that takes any bytes and panics where a property is broken: fuzz targets call it
//! with what they make up, tests with the seeds. The properties are stated by simpler means than the code they judge
//! uses: another reader of CSV, one byte at a time, a whole answer instead of its parts. Nothing here is in the product.

#![forbid(unsafe_code)]

pub mod config;
pub mod framing;
mod heads;
pub mod json;
pub mod link;
pub mod rate_limit;
pub mod repair;
pub mod retry_after;
pub mod seeds;
mod wire;

/// Panics where an input breaks a property.
pub type Holds = fn(&[u8]);

/// Each target's name and property.
pub const TARGETS: [(&str, Holds); 7] = [
    ("config", config::holds),
    ("framing", framing::holds),
    ("json", json::holds),
    ("link", link::holds),
    ("rate_limit", rate_limit::holds),
    ("repair", repair::holds),
    ("retry_after", retry_after::holds),
];
