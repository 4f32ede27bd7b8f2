//! The whole engine over loopback, against mock tenants that judge it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bench;
mod check;
mod delivery;
mod face;
mod faults_answers;
mod faults_network;
mod faults_pages;
mod faults_panics;
mod faults_queries;
mod faults_tokens;
mod fronts;
mod limits;
mod observed;
mod records;
mod results;
mod resume;
mod split;
mod support;
mod whole;
