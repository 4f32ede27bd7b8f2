//! CSV framing.
