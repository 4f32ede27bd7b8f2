//! The mock tenant.
