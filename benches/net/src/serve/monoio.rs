//! On monoio: a runtime for each thread, which shares nothing with the others, and an io_uring each (or
//! the system's queue of events, where that is not allowed). The system deals connections out between
//! the threads. It is here as a limit: it neither steals nor moves a task.

use super::{WORKERS, answer, listening};
use hyper::service::service_fn;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, IntoPollIo};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio_compat::hyper::MonoioIo;
use std::net::SocketAddr;

async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0_u8; 4096];
    loop {
        let (read, mut filled) = stream.read(buffer).await;
        match read {
            Ok(0) | Err(_) => return,
            Ok(read) => filled.truncate(read),
        }
        let (written, mut written_from) = stream.write_all(filled).await;
        if written.is_err() {
            return;
        }
        written_from.resize(4096, 0);
        buffer = written_from;
    }
}

async fn serve(kind: String, listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("accepted");
        stream.set_nodelay(true).expect("nodelay");
        if kind == "echo" {
            monoio::spawn(echo(stream));
        } else {
            monoio::spawn(async move {
                let stream = stream.into_poll_io().expect("registered");
                // No header timeout: its timer is not hyper's.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(MonoioIo::new(stream), service_fn(answer))
                    .await;
            });
        }
    }
}

fn on_this_thread(kind: &str, address: SocketAddr, bound: impl FnOnce(SocketAddr)) {
    let builder = monoio::RuntimeBuilder::<monoio::FusionDriver>::new();
    let mut runtime = builder.enable_timer().build().expect("a runtime");
    let kind = kind.to_owned();
    runtime.block_on(async move {
        let options = ListenerOpts::new().reuse_port(true).backlog(1024);
        let listener = TcpListener::bind_with_config(address, &options).expect("bound");
        bound(listener.local_addr().expect("bound"));
        serve(kind, listener).await
    });
}

pub fn run(kind: &str) {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = |address: SocketAddr, tell: std::sync::mpsc::Sender<SocketAddr>| {
        let kind = kind.to_owned();
        std::thread::spawn(move || {
            on_this_thread(&kind, address, |bound| tell.send(bound).expect("awaited"));
        });
        told.recv().expect("bound")
    };
    let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..WORKERS {
        address = thread(address, tell.clone());
    }
    listening(address);
    loop {
        std::thread::park();
    }
}
