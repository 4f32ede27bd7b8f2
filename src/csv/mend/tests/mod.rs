//! The mender.
