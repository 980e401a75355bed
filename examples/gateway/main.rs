//! A TCP gateway on loopback: real sockets, one task a connection, and a shutdown that waits for
//! its clients.
//!
//! ```text
//! cargo run --release --features net --example gateway                             # with its own clients
//! cargo run --release --features net --example gateway -- --listen 127.0.0.1:4000  # serves until Ctrl-C
//! ```
//!
//! A request is a line of up to 64 KiB, so `nc 127.0.0.1 4000` will do as a client. The gateway
//! hands each line to its upstream, which answers `ok`, the line's length and its digest. The tree,
//! which the program draws while it runs:
//!
//! ```text
//! gateway           start order, readiness               gateway.rs
//! ├─ upstream       what the requests are for            upstream.rs
//! │  └─ link-N      one task a connection to it
//! ├─ probe          a daemon: is the upstream healthy?   gateway.rs
//! ├─ metrics        a daemon: progress and this tree     gateway.rs
//! └─ listener       accepts, limits, drains              listener.rs
//!    └─ conn-N      one task a client                    connection.rs
//! clients           the demonstration's own load         clients.rs
//! ```
//!
//! The sockets are the crate's own, which its workers wait for. The signals are async-signal's, which has
//! a thread of its own and wakes the task that waits; any library that wakes through
//! `std::task::Waker` works like this, without an adapter.

mod clients;
mod connection;
mod drain;
mod gateway;
mod listener;
mod options;
mod say;
mod state;
mod upstream;
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use futures_lite::{StreamExt, future};
use taskgrove::{FailureKind, Manager, Runtime};

use crate::gateway::Gateway;
use crate::options::{Options, USAGE};
use crate::say::say;
use crate::state::State;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let options = match Options::parse(arguments.map(|a| a.to_string_lossy().into_owned())) {
        Ok(Some(options)) => options,
        Ok(None) => {
            say(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("gateway: {problem}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the gateway from its start to its last task, on the calling thread and one worker a core.
fn serve(options: &Options) -> taskgrove::Result {
    // Installed first, so that no moment is left in which Ctrl-C or SIGTERM would kill the process
    // instead of draining it.
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let state = Arc::new(State::new(
        options.demo.then_some(clients::REQUESTS),
        options.idle,
    ));
    let runtime = Runtime::new()?;
    let gateway = runtime.start(Gateway::new(options, state.clone()))?;

    runtime.block_on(async {
        // Ready is more than started: the upstream answers and the port is bound.
        if gateway.wait_ready().await.is_err() {
            return outcome(&gateway).await;
        }
        say(format_args!("listening on {}", state.addr()));
        let began = Instant::now();

        // The hung client is kept here until after the drain: dropping it would end the hang.
        let mut hung = None;
        let mut load = None;
        let demonstration = async {
            if !options.demo {
                return future::pending().await;
            }
            hung = Some(clients::hang(state.addr()).await?);
            let clients = load.insert(runtime.start(clients::service(state.addr()))?);
            outcome(clients).await
        };
        let interrupted = async {
            signals.next().await;
            say("interrupted");
            Ok(())
        };
        let ended = async { outcome(&gateway).await };
        future::or(ended, future::or(interrupted, demonstration)).await?;
        let took = began.elapsed();

        if let Some(clients) = load {
            clients.stop().await?; // does nothing if they have all finished
        }
        // Whoever presses Ctrl-C while connections drain does not want to wait for them. Returning
        // an error drops the runtime, and that waits for no grace and no cleanup.
        let impatient = async {
            signals.next().await;
            Err("interrupted while draining: what was left is dropped".into())
        };
        future::or(drain::drain(&gateway, &state, options.patience), impatient).await?;
        outcome(&gateway).await?;
        drop(hung);

        report(&runtime, &gateway, &state, took)
    })
}

/// Prints the final figures, and makes sure that nothing is left of the tree.
fn report(
    runtime: &Runtime,
    gateway: &Manager,
    state: &State,
    took: Duration,
) -> taskgrove::Result {
    state.print_totals(took);
    // What a service has run stays counted after its end; a child service counts as one task.
    let all = gateway.stats().tasks;
    let connections = state.listener.get()?.stats().tasks;
    say(format_args!(
        "tasks: {} of the gateway, {} of its listener, {} pending",
        all.total_count,
        connections.total_count,
        all.pending_count() + connections.pending_count()
    ));
    let metrics = runtime.metrics();
    say(format_args!(
        "runtime: {} workers, {} polls, {} steals, {} parks",
        metrics.workers, metrics.polls, metrics.steals, metrics.parks
    ));
    let left = runtime.snapshot();
    say(format_args!("tasks left: {}", left.nodes().len()));
    if !left.is_empty() {
        return Err(format!("not everything ended:\n{left}").into());
    }
    Ok(())
}

/// Waits for the end of a service and says how it ended, in one line.
///
/// A failure climbs: `gateway` fails because `listener` failed because the port is taken.
/// `root_causes` goes back down to what went wrong first, which is what the person at the terminal
/// can act on.
async fn outcome(service: &Manager) -> taskgrove::Result {
    service.wait_finished().await;
    let Some(Err(error)) = service.result() else {
        return Ok(());
    };
    let Some(cause) = error.root_causes().next().cloned() else {
        return Err(error.into());
    };
    match cause.kind() {
        FailureKind::Error(error) => Err(format!("{}: {error}", cause.path()).into()),
        _ => Err(cause.into()),
    }
}
