//! Sockets under fault: peers that reset, half-close, dribble or never read; no file descriptors left;
//! waits that are cancelled; sockets that are shared, moved to another runtime, or outlive theirs.
//!
//! The peers are blocking sockets on threads of their own, so that a mistake of this crate cannot hide a
//! mistake of this crate. What the tests wait for is bounded by the watchdog alone.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;

mod accept;
#[cfg(unix)]
mod again;
mod cancelled;
mod datagrams;
#[cfg(unix)]
mod kept;
#[cfg(unix)]
mod odd;
mod peers;
mod recycled;
#[cfg(unix)]
mod refused;
mod runtimes;
mod shared;
mod streams;
#[cfg(unix)]
mod unix;
