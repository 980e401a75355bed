//! On taskgrove, with the sockets of async-io.

use super::{Io, Timer, WORKERS, echo, http, listening};
use async_io::Async;
use std::net::{TcpListener, UdpSocket};

pub fn run(kind: &str) {
    let runtime = taskgrove::Runtime::builder()
        .workers(WORKERS)
        .build()
        .expect("a runtime");
    let kind = kind.to_owned();
    let server = runtime.spawn(async move {
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
                "echo" => drop(taskgrove::spawn(echo(stream))),
                _ => drop(taskgrove::spawn(http(
                    Io(stream),
                    Timer(taskgrove::time::sleep_until),
                ))),
            }
        }
    });
    let _: Result<(), _> = runtime.block_on(server);
}
