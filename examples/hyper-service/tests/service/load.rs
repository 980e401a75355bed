//! Load generators: clients that send requests until the server does not take them any more, and count exactly
//! what became of each.

mod http1;
mod http2;

pub use http1::Connection;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

/// What became of requests. Any other end of a request, such as half an answer, is a panic of its client.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that were sent, or begun to be sent.
    pub sent: u64,
    /// Requests whose whole answer came, with the right content.
    pub answered: u64,
    /// Requests to which not a byte came back, on a connection that the other side closed.
    pub unread: u64,
    /// Connections that the system refused. A client whose connection is refused ends.
    pub refused: u64,
}

/// Clients that are under way.
pub struct Load {
    /// The answers so far, of all clients.
    pub answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Counts>>,
}

impl Load {
    /// HTTP/1: each client sends one request after the other on its connection, and opens another one when the
    /// server asks it to close that.
    pub fn keep_alive(address: &str, clients: u64) -> Load {
        Load::start(clients, |client, answered| {
            http1::client(address.to_owned(), client, true, answered)
        })
    }

    /// HTTP/1: each client opens a connection for each request.
    pub fn one_each(address: &str, clients: u64) -> Load {
        Load::start(clients, |client, answered| {
            http1::client(address.to_owned(), client, false, answered)
        })
    }

    /// HTTP/2: each client has a connection with so many requests under way at a time.
    pub fn streams(address: &str, clients: u64, streams: u64) -> Load {
        Load::start(clients, |client, answered| {
            http2::client(address.to_owned(), client, streams, answered)
        })
    }

    fn start<C: FnOnce() -> Counts + Send + 'static>(
        clients: u64,
        client: impl Fn(u64, Arc<AtomicU64>) -> C,
    ) -> Load {
        let answered = Arc::new(AtomicU64::new(0));
        let clients = (0..clients)
            .map(|number| thread::spawn(client(number, answered.clone())))
            .collect();
        Load { answered, clients }
    }

    /// Waits until no client is left.
    pub fn join(self) -> Counts {
        let mut all = Counts::default();
        for client in self.clients {
            all.add(&client.join().expect("a client has found a fault"));
        }
        assert_eq!(all.answered, self.answered.load(Relaxed));
        all
    }
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.unread += other.unread;
        self.refused += other.refused;
    }
}

/// The path of a request with a number of its own. Every seventh takes longer than the others.
fn target(client: u64, request: u64) -> (u64, String) {
    let number = client * 1_000_000 + request;
    let millis = if request % 7 == 3 { 40 } else { 1 };
    (number, format!("/work?n={number}&ms={millis}"))
}

/// Checks that an answer is that of the request with this number.
fn check(number: u64, status: u16, body: &str) {
    assert_eq!(status, 200, "{body}");
    let begin = format!("job {number} done by worker-");
    assert!(body.starts_with(&begin) && body.ends_with('\n'), "{body}");
}
