//! The disks, real and simulated, the scratch files on them, the unpacking of compressed files, and what files that lie
//! there are worth.
//!
//! Everything here is synchronous and belongs on a thread of its own, or inline in simulation; nothing here
//! knows which report the bytes belong to.

pub mod inspect;
mod real;
mod scratch;
mod sim;
mod unpack;

pub use real::RealDisk;
pub use scratch::{Scratch, ScratchFile};
pub use sim::{DiskFault, SimDisk, Survival};
pub use unpack::{Coding, unpacked};
