//! Latency at a fixed rate: each request has a moment at which it is due, and its latency counts from
//! there, also when the generator or the server is late.

use crate::load::{Connection, Request};
use crate::report::Sample;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The 50th and the 99th percentile, in microseconds.
pub fn at(address: SocketAddr, connections: usize, rate: f64, length: Duration) -> Sample {
    let mut poll = Poll::new().expect("a queue of events");
    let mut all: Vec<_> = (0..connections)
        .map(|_| Connection::open(address, Request::Small))
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
    let total = (rate * length.as_secs_f64()) as u64;
    while (latencies.len() as u64) < total {
        while sent < total && due(sent) <= Instant::now() {
            let Some(at) = free.pop_front() else { break };
            due_of[at] = due(sent);
            all[at].send();
            sent += 1;
        }
        // Busy: a wait would round up to milliseconds.
        let patience = Some(Duration::ZERO);
        poll.poll(&mut events, patience).expect("polled");
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
    latencies.sort_unstable();
    let percentile = |p: usize| latencies[latencies.len() * p / 100].as_secs_f64() * 1e6;
    vec![percentile(50), percentile(99)]
}
