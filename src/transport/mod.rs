//! The strict HTTP transport.
