//! hyper on the crate's sockets, timers and tasks.

#[path = "../common/mod.rs"]
#[allow(unreachable_pub)]
mod common;

mod body;
mod http;
mod parts;
