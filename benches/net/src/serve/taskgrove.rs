//! On taskgrove, with the sockets of async-io.

use super::{Io, Timer, WORKERS, echo, http, reactor};

pub fn run(kind: &str) {
    let runtime = taskgrove::Runtime::builder()
        .workers(WORKERS)
        .build()
        .expect("a runtime");
    let kind = kind.to_owned();
    let server = runtime.spawn(async move {
        reactor::serve(&kind, |stream| match kind.as_str() {
            "echo" => drop(taskgrove::spawn(echo(stream))),
            _ => drop(taskgrove::spawn(http(
                Io(stream),
                Timer(taskgrove::time::sleep_until),
            ))),
        })
        .await
    });
    let _: Result<(), _> = runtime.block_on(server);
}
