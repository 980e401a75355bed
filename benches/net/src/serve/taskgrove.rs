//! On taskgrove.

use super::{Io, Timer, WORKERS, echo, http, late, reactor};
use taskgrove::time::sleep_until;

fn runtime() -> taskgrove::Runtime {
    let runtime = taskgrove::Runtime::builder().workers(WORKERS).build();
    runtime.expect("a runtime")
}

/// With the sockets of async-io, whose reactor has a thread of its own.
pub fn on_async_io(kind: &str) {
    let runtime = runtime();
    let kind = kind.to_owned();
    let server = runtime.spawn(async move {
        reactor::serve(&kind, |stream| match kind.as_str() {
            "echo" => drop(taskgrove::spawn(echo::<4096, _>(stream))),
            "hold" => drop(taskgrove::spawn(echo::<64, _>(stream))),
            "late" => drop(taskgrove::spawn(late(stream, sleep_until))),
            _ => drop(taskgrove::spawn(http(Io(stream), Timer(sleep_until)))),
        })
        .await
    });
    let _: Result<(), _> = runtime.block_on(server);
}

pub fn run(kind: &str) {
    on_async_io(kind);
}

pub fn supervised(kind: &str) {
    on_async_io(kind);
}
