//! On smol's parts: async-executor on two threads, each of which drives async-io.

use super::{Io, Timer, WORKERS, echo, http, listening};
use smol::{Async, Executor};
use std::net::{TcpListener, UdpSocket};
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

pub fn run(kind: &str) {
    let kind = kind.to_owned();
    let server = EXECUTOR.spawn(async move {
        let any = ([127, 0, 0, 1], 0);
        if kind == "udp" {
            let socket = Async::<UdpSocket>::bind(any).expect("bound");
            listening(socket.get_ref().local_addr().expect("bound"));
            let mut buffer = [0; 2048];
            loop {
                let (read, from) = socket.recv_from(&mut buffer).await.expect("received");
                socket.send_to(&buffer[..read], from).await.expect("sent");
            }
        }
        let listener = Async::<TcpListener>::bind(any).expect("bound");
        listening(listener.get_ref().local_addr().expect("bound"));
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            stream.get_ref().set_nodelay(true).expect("nodelay");
            match kind.as_str() {
                "echo" => EXECUTOR.spawn(echo(stream)).detach(),
                _ => EXECUTOR
                    .spawn(http(Io(stream), Timer(|at| At(smol::Timer::at(at)))))
                    .detach(),
            }
        }
    });
    for _ in 1..WORKERS {
        std::thread::spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())));
    }
    smol::block_on(EXECUTOR.run(server))
}
