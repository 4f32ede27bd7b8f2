//! The rows of the fault table that the transport answers for, by their ids.

mod answers;
mod cuts;
mod encodings;
mod trust;
