//! The disks, real and simulated, and the scratch files on them.
//!
//! Everything here is synchronous and belongs on a thread of its own, or inline in simulation; nothing here
//! knows what the bytes mean or which report they belong to.

mod real;
mod scratch;
mod sim;

pub use real::RealDisk;
pub use scratch::{Scratch, ScratchFile};
pub use sim::{DiskFault, SimDisk, Survival};
