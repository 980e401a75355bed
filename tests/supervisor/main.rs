//! Supervisors: the cases of OTP's own suite in our words, and what is ours, in simulations with exact virtual times.
//!
//! A test that reproduces cases of `supervisor_SUITE` names them. What differs, and why, is in `README.md` here.

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod hostile;
mod kinds;
mod limits;
mod readiness;
mod significant;
mod starts;
mod stops;
mod strategies;
mod sweep;
mod threads;
mod world;
