//! The workloads.

use crate::latency;
use crate::load::{self, Request};
use crate::process::Server;
use crate::report::Sample;
use std::time::{Duration, Instant};

/// How long one measurement lasts where only answers are checked.
pub const SHORT: Duration = Duration::from_millis(100);

pub enum Workload {
    /// Requests one after another on each of so many connections.
    Closed {
        connections: usize,
        request: Request,
    },
    /// A connection for each request.
    Churn {
        connections: usize,
    },
    /// Half of what a closed loop reaches, sent on time: the latency from when each was due.
    HalfLoad {
        connections: usize,
    },
    Datagrams {
        sockets: usize,
    },
    /// Connections that do nothing: memory, and processor time while they idle.
    Idle {
        connections: usize,
    },
}

pub fn all() -> Vec<Workload> {
    let closed = |connections, request| Workload::Closed {
        connections,
        request,
    };
    let mut all: Vec<Workload> = [1, 32, 256, 4_096]
        .map(|connections| closed(connections, Request::Small))
        .into();
    all.extend([
        closed(32, Request::Large),
        closed(64, Request::Echo),
        Workload::Churn { connections: 32 },
        Workload::HalfLoad { connections: 32 },
        Workload::Datagrams { sockets: 32 },
        Workload::Idle {
            connections: 10_000,
        },
    ]);
    all
}

impl Workload {
    /// Sockets that the generator and the server have open each.
    pub fn sockets(&self) -> usize {
        match *self {
            Workload::Closed { connections, .. }
            | Workload::Churn { connections }
            | Workload::HalfLoad { connections }
            | Workload::Idle { connections } => connections,
            Workload::Datagrams { sockets } => sockets,
        }
    }

    /// Memory is measured from a server that has never had a connection.
    pub fn wants_fresh_servers(&self) -> bool {
        matches!(self, Workload::Idle { .. })
    }

    pub fn name(&self) -> String {
        match self {
            Workload::Closed {
                connections,
                request,
            } => match request {
                Request::Small => format!("http, {connections} connections"),
                Request::Large => format!("http, 64 KiB bodies, {connections} connections"),
                Request::Echo => format!("echo, 64 bytes, {connections} connections"),
            },
            Workload::Churn { connections } => {
                format!("http, a connection a request, {connections} at once")
            }
            Workload::HalfLoad { connections } => {
                format!("http, half load, {connections} connections")
            }
            Workload::Datagrams { sockets } => format!("udp echo, {sockets} sockets"),
            Workload::Idle { connections } => format!("idle, {connections} connections"),
        }
    }

    /// What its first figure counts.
    pub fn unit(&self) -> &'static str {
        match self {
            Workload::HalfLoad { .. } => "p50 us | p99 us",
            Workload::Idle { .. } => "bytes a connection | CPU us a second",
            _ => "requests/s | CPU us a request | context switches a request",
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Workload::Closed {
                request: Request::Echo,
                ..
            } => "echo",
            Workload::Datagrams { .. } => "udp",
            _ => "http",
        }
    }

    pub fn length(&self) -> Duration {
        match self {
            Workload::HalfLoad { .. } | Workload::Idle { .. } => Duration::from_millis(1_000),
            _ => Duration::from_millis(500),
        }
    }

    pub fn measure(&self, server: &Server, length: Duration) -> Sample {
        let closed = |run: &dyn Fn() -> u64| {
            let (before, began) = (server.used(), Instant::now());
            let requests = run() as f64;
            let (after, took) = (server.used(), began.elapsed());
            vec![
                requests / took.as_secs_f64(),
                (after.cpu_ns - before.cpu_ns) as f64 / 1_000.0 / requests,
                (after.switches - before.switches) as f64 / requests,
            ]
        };
        let address = server.address;
        match *self {
            Workload::Closed {
                connections,
                request,
            } => {
                // Connecting is not measured.
                let mut load = load::Load::connect(address, connections, request);
                let load = std::cell::RefCell::new(&mut load);
                closed(&|| load.borrow_mut().run(length))
            }
            Workload::Churn { connections } => {
                closed(&|| load::churn(address, connections, length))
            }
            Workload::Datagrams { sockets } => {
                closed(&|| load::datagrams(address, sockets, length))
            }
            Workload::HalfLoad { connections } => {
                let peak = {
                    let mut load = load::Load::connect(address, connections, Request::Small);
                    load.run(length / 4) as f64 / (length / 4).as_secs_f64()
                };
                latency::at(address, connections, peak / 2.0, length)
            }
            Workload::Idle { connections } => {
                let before = server.used();
                let _load = load::Load::connect(address, connections, Request::Small);
                let there = server.used();
                let began = Instant::now();
                std::thread::sleep(length);
                let idle = server.used();
                let cpu = (idle.cpu_ns - there.cpu_ns) as f64 / 1_000.0;
                vec![
                    there.resident.saturating_sub(before.resident) as f64 / connections as f64,
                    cpu / began.elapsed().as_secs_f64(),
                ]
            }
        }
    }
}
