//! Pure decisions.

pub mod ends;
pub mod window;
