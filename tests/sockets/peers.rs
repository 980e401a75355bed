//! Runtimes of each size, connections whose other end is a blocking socket, and bytes that have an order.

use crate::common::watchdog;
use futures_lite::AsyncReadExt;
/// Polls a future once and drops it.
pub(crate) use futures_lite::future::poll_once as once;
use taskgrove::Runtime;
use taskgrove::net::{TcpListener, TcpStream};

/// Runs `f` with a runtime of no, one and two workers, each under the watchdog.
#[track_caller]
pub(crate) fn on_each(f: impl Fn(&Runtime) + Clone + Send + 'static) {
    for workers in 0..=2 {
        let f = f.clone();
        watchdog(move || f(&runtime(workers)));
    }
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    let runtime = Runtime::builder().workers(workers).build();
    runtime.expect("a runtime")
}

/// A listener on loopback.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("bound")
}

/// A connection: this crate's end, and a blocking one.
pub(crate) async fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = listener().await;
    let address = listener.local_addr().expect("bound");
    // The system completes it before anybody accepts.
    let theirs = std::net::TcpStream::connect(address).expect("listening");
    theirs.set_nodelay(true).expect("nodelay");
    let (ours, peer) = listener.accept().await.expect("accepted");
    assert_eq!(peer, theirs.local_addr().expect("connected"));
    (ours, theirs)
}

/// Bytes from which a lost, doubled or swapped one shows: the numbers from 0 on, four bytes each.
pub(crate) fn sequence(length: usize) -> Vec<u8> {
    let numbers = (0..length.div_ceil(4) as u32).flat_map(u32::to_be_bytes);
    numbers.take(length).collect()
}

/// Reads to the end.
pub(crate) async fn all(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    bytes
}

/// Asserts that these are equal, without printing megabytes.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], sent: &[u8]) {
    let wrong = got.iter().zip(sent).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "of {} bytes, the first wrong one", sent.len());
    assert_eq!(got.len(), sent.len());
}
