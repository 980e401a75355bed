//! Latencies: at a fixed rate, beside polls that last, and of sleeps.

use crate::load::{Connection, Request};
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The mean, the 50th and the 99th percentile, in microseconds.
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
}

fn latency(mut all: Vec<Duration>) -> Latency {
    all.sort_unstable();
    let us = |d: Duration| d.as_secs_f64() * 1e6;
    let percentile = |p: usize| us(all[all.len() * p / 100]);
    Latency {
        mean: us(all.iter().sum::<Duration>()) / all.len() as f64,
        p50: percentile(50),
        p99: percentile(99),
    }
}

/// Requests at a fixed rate. Each has a moment at which it is due, and its latency counts from there,
/// also when the generator or the server is late.
pub fn at_rate(address: SocketAddr, connections: usize, rate: f64, length: Duration) -> Latency {
    let mut poll = Poll::new().expect("a queue of events");
    let mut all: Vec<_> = (0..connections)
        .map(|n| Connection::open(address, Request::Small, n))
        .collect();
    for (at, connection) in all.iter_mut().enumerate() {
        poll.registry()
            .register(&mut connection.stream, Token(at), Interest::READABLE)
            .expect("registered");
    }
    let mut free: VecDeque<usize> = (0..connections).collect();
    let mut due_of = vec![Instant::now(); connections];
    let mut latencies = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 1 << 16];
    let began = Instant::now();
    let due = |n: u64| began + Duration::from_secs_f64(n as f64 / rate);
    let mut sent = 0;
    let total = (rate * length.as_secs_f64()).max(1.0) as u64;
    while (latencies.len() as u64) < total {
        while sent < total && due(sent) <= Instant::now() {
            let Some(at) = free.pop_front() else { break };
            due_of[at] = due(sent);
            all[at].send();
            sent += 1;
        }
        // Busy: a wait would round up to milliseconds.
        poll.poll(&mut events, Some(Duration::ZERO))
            .expect("polled");
        for event in &events {
            let at = event.token().0;
            if all[at].receive(&mut buffer) {
                latencies.push(due_of[at].elapsed());
                free.push_back(at);
            }
        }
        assert!(
            began.elapsed() < length + Duration::from_secs(30),
            "the server does not keep up"
        );
    }
    latency(latencies)
}

/// A connection that waits for each answer on its own thread.
struct Blocking(TcpStream);

impl Blocking {
    fn open(address: SocketAddr) -> Blocking {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("nodelay");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("not zero");
        Blocking(stream)
    }

    /// Asks and waits for an answer that is right.
    fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut answer = [0; 512];
        let read = self.0.read(&mut answer).expect("an answer in time");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(answer[..read].ends_with(crate::serve::SMALL));
    }
}

/// A light request now and then, while another connection has a poll of 10 ms under way at all times.
pub fn beside(address: SocketAddr, length: Duration) -> Latency {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut heavy = Blocking::open(address);
            while !over.load(Ordering::Relaxed) {
                heavy.ask("/heavy");
            }
        });
        let mut light = Blocking::open(address);
        let mut latencies = Vec::new();
        let end = Instant::now() + length;
        // Pauses that do not keep step with the polls.
        let mut seed = 0x9e37_79b9_u32;
        while Instant::now() < end {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            std::thread::sleep(Duration::from_micros(u64::from(500 + seed % 2_000)));
            let began = Instant::now();
            light.ask("/");
            latencies.push(began.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        latency(latencies)
    })
}

/// By how much sleeps of 2 ms were late on a server that waits for sockets too, as the server measured.
pub fn lateness(address: SocketAddr, length: Duration) -> Latency {
    let mut asks = Blocking::open(address).0;
    let mut late = Vec::new();
    let end = Instant::now() + length;
    while late.is_empty() || Instant::now() < end {
        let mut answer = [0; 8];
        asks.write_all(&[1]).expect("the server reads");
        asks.read_exact(&mut answer).expect("an answer in time");
        late.push(Duration::from_nanos(u64::from_le_bytes(answer)));
    }
    latency(late)
}
