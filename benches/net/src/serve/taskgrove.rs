//! On taskgrove: with its own sockets, raw or supervised, and with those of async-io.

use super::{Io, Timer, WORKERS, answer, echo, late, listening, reactor};
use std::time::Duration;
use taskgrove::net::{TcpListener, TcpStream, UdpSocket};
use taskgrove::time::sleep_until;
use taskgrove::{Context, service_fn};

/// How long a supervised connection may take to end once its server is cancelled.
const GRACE: Duration = Duration::from_secs(1);

fn runtime() -> taskgrove::Runtime {
    let runtime = taskgrove::Runtime::builder().workers(WORKERS).build();
    runtime.expect("a runtime")
}

async fn http(stream: TcpStream) {
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(taskgrove::hyper::Timer)
        .header_read_timeout(super::HEADER_TIMEOUT)
        .serve_connection(stream, hyper::service::service_fn(answer))
        .await;
}

async fn udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    listening(socket.local_addr().expect("bound"));
    let mut buffer = [0; 2048];
    loop {
        let (read, from) = socket.recv_from(&mut buffer).await.expect("received");
        socket.send_to(&buffer[..read], from).await.expect("sent");
    }
}

async fn bind() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    listening(listener.local_addr().expect("bound"));
    listener
}

/// Raw tasks.
pub fn run(kind: &str) {
    let runtime = runtime();
    let kind = kind.to_owned();
    let server = runtime.spawn(async move {
        if kind == "udp" {
            udp().await;
        }
        let listener = bind().await;
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            stream.set_nodelay(true).expect("nodelay");
            match kind.as_str() {
                "echo" => drop(taskgrove::spawn(echo::<4096, _>(stream))),
                "hold" => drop(taskgrove::spawn(echo::<64, _>(stream))),
                "late" => drop(taskgrove::spawn(late(stream, sleep_until))),
                _ => drop(taskgrove::spawn(http(stream))),
            }
        }
    });
    let _: Result<(), _> = runtime.block_on(server);
}

/// A service: each connection is a named task of it, counted and limited, with a grace in which it ends.
pub fn supervised(_kind: &str) {
    let server = service_fn("server", async |ctx: Context| {
        let listener = bind().await;
        let mut number = 0_u64;
        while let Some(accepted) = ctx.until_cancelled(listener.accept()).await {
            let (stream, _) = accepted?;
            stream.set_nodelay(true)?;
            number += 1;
            let connection = async move {
                http(stream).await;
                Ok(())
            };
            ctx.task(connection)
                .name(format!("conn-{number}"))
                .grace(GRACE)
                .spawn()?;
        }
        Ok(())
    });
    runtime()
        .run(server)
        .expect("it serves until its process ends");
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
            _ => drop(taskgrove::spawn(super::http(
                Io(stream),
                Timer(sleep_until),
            ))),
        })
        .await
    });
    let _: Result<(), _> = runtime.block_on(server);
}
