//! On smol's parts: async-executor on two threads, each of which drives async-io.

use super::{Io, Timer, WORKERS, echo, http, late, reactor};
use smol::Executor;
use std::sync::LazyLock;

static EXECUTOR: LazyLock<Executor<'static>> = LazyLock::new(Executor::new);

struct At(smol::Timer);

impl Future for At {
    type Output = ();

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

fn at(instant: std::time::Instant) -> At {
    At(smol::Timer::at(instant))
}

pub fn run(kind: &str) {
    let kind = kind.to_owned();
    let server = EXECUTOR.spawn(async move {
        reactor::serve(&kind, |stream| match kind.as_str() {
            "echo" => EXECUTOR.spawn(echo::<4096, _>(stream)).detach(),
            "hold" => EXECUTOR.spawn(echo::<64, _>(stream)).detach(),
            "late" => EXECUTOR.spawn(late(stream, at)).detach(),
            _ => EXECUTOR.spawn(http(Io(stream), Timer(at))).detach(),
        })
        .await
    });
    for _ in 1..WORKERS {
        std::thread::spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())));
    }
    smol::block_on(EXECUTOR.run(server))
}
