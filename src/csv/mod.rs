//! What a page of CSV holds: its records and fields in numbers, and what its first record is.
//!
//! Bytes in, facts out. The one idea: the bytes are never changed or rebuilt here, only understood, so that
//! what is delivered stays what the tenant sent. Nothing here knows files or where a page came from.

mod blocks;
mod facts;
pub mod forms;
mod framing;
mod grammar;
mod header;
pub mod mend;
pub mod papers;

pub use facts::{Framed, FramingFault, RaggedRecord};
pub use framing::{Framer, FramingLimits};
pub use grammar::{Event, State, fields_of, n_blank_lines_before};
pub use header::{HeaderRule, HeaderVerdict};

/// The byte order mark of UTF-8.
pub const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
