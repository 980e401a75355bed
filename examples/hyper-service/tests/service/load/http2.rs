//! A client of HTTP/2: hyper's, on a runtime of its own.

use super::{Counts, check, target};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use taskgrove::hyper::Executor;
use taskgrove::net::TcpStream;
use taskgrove::{Runtime, spawn};

/// Returns the code of a client.
pub(super) fn client(
    address: String,
    client: u64,
    streams: u64,
    answered: Arc<AtomicU64>,
) -> impl FnOnce() -> Counts {
    move || {
        let runtime = Runtime::builder().workers(0).build().expect("a runtime");
        runtime.block_on(async {
            let stream = TcpStream::connect(&*address).await.expect("it listens");
            let handshake = http2::handshake::<_, _, Empty<Bytes>>(Executor, stream).await;
            let (sender, connection) = handshake.expect("HTTP/2");
            let connection = spawn(connection);
            let clients: Vec<_> = (0..streams)
                .map(|stream| client * streams + stream)
                .map(|number| spawn(send(sender.clone(), number, answered.clone())))
                .collect();
            drop(sender);
            let mut counts = Counts::default();
            for client in clients {
                counts.add(&client.await.expect("no panic"));
            }
            // The server has ended the connection in good order.
            connection.await.expect("no panic").expect("no error");
            counts
        })
    }
}

/// Sends one request after the other, until the server does not take them any more.
async fn send(
    mut sender: SendRequest<Empty<Bytes>>,
    client: u64,
    answered: Arc<AtomicU64>,
) -> Counts {
    let mut counts = Counts::default();
    for request in 0.. {
        if sender.ready().await.is_err() {
            break;
        }
        let (number, target) = target(client, request);
        let request = Request::get(format!("http://localhost{target}"));
        let request = request.body(Empty::new()).expect("a request");
        counts.sent += 1;
        let Ok(response) = sender.send_request(request).await else {
            counts.unread += 1;
            continue;
        };
        let status = response.status().as_u16();
        let body = response.collect().await.expect("a whole answer").to_bytes();
        check(number, status, std::str::from_utf8(&body).expect("text"));
        counts.answered += 1;
        answered.fetch_add(1, Relaxed);
    }
    counts
}
