//! The whole engine over loopback, against mock tenants that judge it.

mod bench;
mod faults_answers;
mod fronts;
mod support;
mod whole;
