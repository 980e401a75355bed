//! The servers on the sockets of async-io, which taskgrove and smol share.

use super::listening;
use async_io::Async;
use std::net::{TcpListener, TcpStream, UdpSocket};

/// Serves datagrams, or hands each connection to `spawn`.
pub(super) async fn serve(kind: &str, spawn: impl Fn(Async<TcpStream>)) {
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
        spawn(stream);
    }
}
