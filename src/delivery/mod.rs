//! The disks, real and simulated, the scratch files on them, and the unpacking of compressed files.
//!
//! Everything here is synchronous and belongs on a thread of its own, or inline in simulation; nothing here
//! knows what the bytes mean or which report they belong to.

mod real;
mod scratch;
mod sim;
mod unpack;

pub use real::RealDisk;
pub use scratch::{Scratch, ScratchFile};
pub use sim::{DiskFault, SimDisk, Survival};
pub use unpack::{Coding, unpacked};
