//! The second part of the contract, as its caller is written: its lines are longer than those of this crate.

#[rustfmt::skip]
#[path = "../contract2.rs"]
mod contract2;
