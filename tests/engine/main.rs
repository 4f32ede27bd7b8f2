//! The whole engine over loopback, against mock tenants that judge it.

mod bench;
mod faults_answers;
mod faults_network;
mod faults_pages;
mod fronts;
mod support;
mod whole;
