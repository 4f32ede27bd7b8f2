//! The whole engine in a simulated world: network, clocks, disk and store are not the machine's.
//!
//! Time is turmoil's, so that half an hour of outage takes a moment, and everything follows from a seed. A failing
//! seed says how it is run alone. How many seeds: `CXTRACT_SIM_SEEDS` (100 if not said); one seed: `CXTRACT_SIM_SEED`.

#![allow(clippy::print_stdout, reason = "figures are shown by --nocapture")]

mod crashes;
mod errors;
mod fairness;
mod faults;
mod forms;
mod judge;
mod lives;
mod measure;
mod mortal;
mod outages;
mod pace;
mod processes;
mod rate;
mod reborn;
mod recovery;
mod scenario;
mod seeds;
mod slow;
mod spread;
mod stories;
mod stories_calls;
mod stories_data;
mod tenants;
mod trouble;
mod waits;
mod world;
