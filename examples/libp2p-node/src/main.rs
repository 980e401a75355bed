//! A peer-to-peer network of nodes: libp2p without tokio, its connections as tasks of the tree.
//!
//! `cargo run` runs five nodes in this process, kills one and shows its supervisor bring it back. Look at `demo.rs`.
//! `cargo run -- --listen 0.0.0.0:4001` runs one node as a process of its own, and `cargo run -- --dial HOST:4001`
//! on another machine joins it. The README says what travels between them.

mod demo;
mod health;
mod network;
mod node;
mod options;
#[cfg(test)]
mod tests;
mod transport;

use std::process::ExitCode;
use std::time::Duration;
use taskgrove::process;
use taskgrove::supervisor::{Strategy, Supervisor};

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)) {
        Ok(None) => match demo::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        // It runs until SIGINT or SIGTERM; SIGQUIT prints the tree.
        Ok(Some(config)) => process::run(
            Supervisor::new(Strategy::OneForOne)
                .intensity(10, Duration::from_secs(60))
                .child(node::spec(config)),
        ),
        Err(error) => {
            eprintln!("{error}\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}
