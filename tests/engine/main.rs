//! The whole engine over loopback, against mock tenants that judge it.

mod support;
mod whole;
