//! The workloads, their figures, and what is to be reached.

use crate::count;
use crate::latency::{self, Latency};
use crate::load::{self, Load, Request, Until};
use crate::process::{self, Server};
use crate::report::Sample;
use std::time::{Duration, Instant};

/// How long one measurement lasts where only answers are checked.
pub const SHORT: Duration = Duration::from_millis(100);

/// What a figure of taskgrove has to be, in itself or as its ratio to the row's first runtime.
#[derive(Clone, Copy)]
pub enum Target {
    None,
    Most(f64),
    RatioMost(f64),
    RatioLeast(f64),
}

#[derive(Clone, Copy)]
pub struct Figure {
    pub name: &'static str,
    pub target: Target,
}

#[derive(Clone, Copy)]
pub enum Workload {
    /// Requests one after another on each of so many connections.
    Closed {
        connections: usize,
        request: Request,
        least: f64,
        most_cpu: f64,
    },
    /// The same with tasks of a service, beside raw ones.
    Supervised {
        connections: usize,
    },
    /// A connection for each request.
    Churn {
        connections: usize,
        supervised: bool,
    },
    /// Half of what a closed loop reaches, sent on time: the latency from when each was due.
    HalfLoad {
        connections: usize,
    },
    /// A light request beside polls of 10 ms.
    Beside,
    /// How late a sleep is on a server that also waits for sockets.
    Lateness,
    Datagrams {
        sockets: usize,
    },
    /// Connections that do nothing: memory, and what the server does meanwhile.
    Idle {
        connections: usize,
        kind: &'static str,
    },
    /// System calls and instructions a request.
    Counts {
        connections: usize,
        calls: f64,
        instructions: bool,
    },
}

pub fn all() -> Vec<Workload> {
    let closed = |connections, request, least, most_cpu| Workload::Closed {
        connections,
        request,
        least,
        most_cpu,
    };
    let churn = |supervised| Workload::Churn {
        connections: 32,
        supervised,
    };
    let idle = |connections, kind| Workload::Idle { connections, kind };
    let counts = |connections, calls, instructions| Workload::Counts {
        connections,
        calls,
        instructions,
    };
    vec![
        closed(1, Request::Small, 1.0, 1.0),
        closed(32, Request::Small, 1.03, 0.95),
        closed(256, Request::Small, 1.03, 0.97),
        closed(4_096, Request::Small, 1.0, 1.0),
        closed(32, Request::Large, 1.0, 1.0),
        closed(64, Request::Echo, 1.04, 0.94),
        churn(false),
        Workload::HalfLoad { connections: 32 },
        Workload::Beside,
        Workload::Lateness,
        Workload::Datagrams { sockets: 32 },
        Workload::Supervised { connections: 32 },
        churn(true),
        counts(1, 3.1, false),
        counts(32, 2.1, true),
        counts(256, 2.1, false),
        idle(100_000, "hold"),
        idle(10_000, "http"),
    ]
}

fn figure(name: &'static str, target: Target) -> Figure {
    Figure { name, target }
}

impl Workload {
    pub fn name(&self) -> String {
        match *self {
            Workload::Closed {
                connections,
                request,
                ..
            } => match request {
                Request::Echo => format!("echo, 64 bytes, {connections} connections"),
                Request::Large => format!("http, 64 KiB bodies, {connections} connections"),
                _ => format!("http, {connections} connections"),
            },
            Workload::Supervised { connections } => {
                format!("supervision, http, {connections} connections")
            }
            Workload::Churn { supervised, .. } => {
                let subject = if supervised { "supervision, " } else { "" };
                format!("{subject}http, a connection a request")
            }
            Workload::HalfLoad { connections } => {
                format!("http, half load, {connections} connections")
            }
            Workload::Beside => "a light request beside 10 ms polls".to_owned(),
            Workload::Lateness => "lateness of a sleep".to_owned(),
            Workload::Datagrams { sockets } => format!("udp echo, {sockets} sockets"),
            Workload::Idle { connections, kind } => match kind {
                "http" => format!("idle, {connections} connections of hyper"),
                _ => format!("idle, {connections} connections"),
            },
            Workload::Counts { connections, .. } => {
                format!("counts, http, {connections} connections")
            }
        }
    }

    /// The first is the one that ratios refer to; those after the second are measured in every third
    /// round.
    pub fn runtimes(&self) -> Vec<&'static str> {
        match self {
            Workload::Supervised { .. }
            | Workload::Churn {
                supervised: true, ..
            } => vec!["taskgrove", "supervised"],
            // Without sockets in its workers' waits, taskgrove is what a sleep is compared to.
            Workload::Lateness => vec!["async-io", "taskgrove", "tokio"],
            Workload::Counts { .. } => vec!["tokio", "taskgrove", "async-io", "smol"],
            Workload::Idle { .. } => vec!["tokio", "taskgrove", "async-io", "smol"],
            Workload::Closed { .. } | Workload::Churn { .. } => {
                vec!["tokio", "taskgrove", "async-io", "smol", "monoio"]
            }
            _ => vec!["tokio", "taskgrove", "async-io", "smol"],
        }
    }

    pub fn figures(&self) -> Vec<Figure> {
        use Target::{Most, None, RatioLeast, RatioMost};
        let throughput = |least, cpu, switches| {
            vec![
                figure("requests/s", least),
                figure("CPU a request, us", cpu),
                figure("context switches a request", switches),
                figure("cores used", None),
                figure("generator's cores", None),
            ]
        };
        match *self {
            Workload::Closed {
                least,
                most_cpu,
                connections,
                ..
            } => {
                let switches = if connections == 32 { Most(0.1) } else { None };
                throughput(RatioLeast(least), RatioMost(most_cpu), switches)
            }
            Workload::Supervised { .. } => throughput(RatioLeast(0.98), RatioMost(1.02), None),
            // Here each request has a task of its own: what its name and its record take shows.
            Workload::Churn {
                supervised: true, ..
            } => throughput(None, None, None),
            Workload::Churn { .. } => throughput(RatioLeast(1.0), None, None),
            Workload::Datagrams { .. } => throughput(RatioLeast(1.0), RatioMost(1.0), None),
            Workload::HalfLoad { .. } => vec![
                figure("p50, us", RatioMost(1.0)),
                figure("p99, us", RatioMost(1.0)),
                figure("mean, us", None),
                figure("cores used", None),
            ],
            Workload::Beside => vec![
                figure("p99, us", Most(2_500.0)),
                figure("p50, us", None),
                figure("mean, us", None),
                figure("cores used", None),
            ],
            Workload::Lateness => vec![
                figure("p50, us", RatioMost(1.1)),
                figure("p99, us", None),
                figure("mean, us", RatioMost(1.1)),
            ],
            Workload::Idle { kind, .. } => {
                let memory = if kind == "hold" { RatioMost(0.7) } else { None };
                vec![
                    figure("bytes a connection", memory),
                    figure("CPU us a second", Most(0.0)),
                    figure("system calls a second", Most(0.0)),
                ]
            }
            Workload::Counts {
                calls,
                instructions,
                ..
            } => {
                let counted = figure("system calls a request, strace", Most(calls));
                let mut all = vec![counted, figure("system calls a request, perf", Most(calls))];
                if instructions {
                    all.push(figure("user instructions a request", Most(11_500.0)));
                }
                all
            }
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Workload::Closed {
                request: Request::Echo,
                ..
            } => "echo",
            Workload::Datagrams { .. } => "udp",
            Workload::Lateness => "late",
            Workload::Idle { kind, .. } => kind,
            _ => "http",
        }
    }

    pub fn length(&self) -> Duration {
        Duration::from_millis(match self {
            Workload::Beside => 1_500,
            Workload::Idle { .. } => 1_000,
            Workload::HalfLoad { .. } => 600,
            _ => 400,
        })
    }

    /// The most rounds that this row is worth: counts and memory vary little.
    pub fn rounds(&self) -> usize {
        match self {
            Workload::Counts { .. } | Workload::Idle { .. } => 3,
            Workload::Beside | Workload::Lateness => 9,
            _ => usize::MAX,
        }
    }

    /// Whether each measurement gets a server of its own: what a server keeps of connections that have
    /// ended is not measured.
    pub fn wants_fresh_servers(&self) -> bool {
        matches!(self, Workload::Idle { .. } | Workload::Counts { .. })
    }

    /// The row with no more connections than this, and what to say about it.
    pub fn within(self, most: usize) -> (Workload, Option<String>) {
        match self {
            Workload::Idle { connections, kind } if connections > most => {
                let note = format!(
                    "{most} connections, not {connections}: a process may have no more files open (RLIMIT_NOFILE)."
                );
                let connections = most;
                (Workload::Idle { connections, kind }, Some(note))
            }
            Workload::Closed {
                connections,
                request,
                least,
                most_cpu,
            } if connections > most => {
                let note = format!("{most} connections, not {connections}: RLIMIT_NOFILE.");
                let connections = most;
                let row = Workload::Closed {
                    connections,
                    request,
                    least,
                    most_cpu,
                };
                (row, Some(note))
            }
            row => (row, None),
        }
    }

    /// Requests a second for `measure`, where it sends at a fixed rate: half of what the server
    /// reaches that all are compared to.
    pub fn rate(&self, server: &Server) -> f64 {
        let Workload::HalfLoad { connections } = *self else {
            return 0.0;
        };
        let mut load = Load::connect(server.address, connections, Request::Small);
        let mut peaks: Vec<f64> = (0..3)
            .map(|_| {
                let began = Instant::now();
                let answered = load.run(Until::Passed(SHORT)) as f64;
                answered / began.elapsed().as_secs_f64()
            })
            .collect();
        peaks.sort_unstable_by(f64::total_cmp);
        peaks[1] / 2.0
    }

    pub fn measure(&self, server: &Server, length: Duration, rate: f64) -> Sample {
        let address = server.address;
        match *self {
            Workload::Closed {
                connections,
                request,
                ..
            } => {
                // Connecting is not measured.
                let mut load = Load::connect(address, connections, request);
                closed(server, || load.run(Until::Passed(length)))
            }
            Workload::Supervised { connections } => {
                let mut load = Load::connect(address, connections, Request::Small);
                closed(server, || load.run(Until::Passed(length)))
            }
            Workload::Churn { connections, .. } => {
                closed(server, || load::churn(address, connections, length))
            }
            Workload::Datagrams { sockets } => {
                let until = Until::Passed(length);
                closed(server, || load::datagrams(address, sockets, until))
            }
            Workload::HalfLoad { connections } => {
                let (figures, cores) = cores(server, || {
                    latency::at_rate(address, connections, rate, length)
                });
                let Latency { mean, p50, p99 } = figures;
                vec![p50, p99, mean, cores]
            }
            Workload::Beside => {
                let (figures, cores) = cores(server, || latency::beside(address, length));
                let Latency { mean, p50, p99 } = figures;
                vec![p99, p50, mean, cores]
            }
            Workload::Lateness => {
                let Latency { mean, p50, p99 } = latency::lateness(address, length);
                vec![p50, p99, mean]
            }
            Workload::Idle { connections, kind } => idle(server, connections, kind, length),
            Workload::Counts { .. } => unreachable!("counts start their own servers"),
        }
    }

    /// The row of counts for one runtime, and which system calls they were.
    pub fn counts(&self, runtime: &str, short: bool) -> Option<(Sample, String)> {
        let Workload::Counts {
            connections,
            instructions,
            ..
        } = *self
        else {
            return None;
        };
        let requests = if short { 3_000 } else { 10_000 };
        let traced = count::system_calls(runtime, connections, requests);
        let (calls, which) = traced.unwrap_or((f64::NAN, Vec::new()));
        let named = which.iter().filter(|call| call.1 >= 0.01);
        let named: Vec<_> = named.map(|(name, n)| format!("{name} {n:.2}")).collect();
        let server = Server::start(runtime, "http");
        let mut load = Load::connect(server.address, connections, Request::Small);
        let mut answered = 0;
        let counted = count::calls_during(&server, || {
            answered = load.run(Until::Each(requests / connections as u64));
        });
        drop(load);
        let counted = counted.map_or(f64::NAN, |calls| calls / answered as f64);
        let mut sample = vec![calls, counted];
        if instructions {
            let a_request = count::instructions(runtime, connections, requests / 2);
            sample.push(a_request.unwrap_or(f64::NAN));
        }
        Some((sample, format!("{runtime}: {}", named.join(", "))))
    }
}

/// What `run` gives, and the processors that server and generator used meanwhile.
fn cores<T>(server: &Server, run: impl FnOnce() -> T) -> (T, f64) {
    let used = || server.used().cpu_ns + process::used("self").cpu_ns;
    let (before, began) = (used(), Instant::now());
    let given = run();
    let cores = (used() - before) as f64 / began.elapsed().as_nanos() as f64;
    (given, cores)
}

fn closed(server: &Server, run: impl FnOnce() -> u64) -> Sample {
    let (before, own) = (server.used(), process::used("self").cpu_ns);
    let began = Instant::now();
    let requests = run() as f64;
    let took = began.elapsed();
    let (after, own) = (server.used(), process::used("self").cpu_ns - own);
    let cpu = after.cpu_ns - before.cpu_ns;
    let share = |ns: u64| ns as f64 / took.as_nanos() as f64;
    vec![
        requests / took.as_secs_f64(),
        cpu as f64 / 1_000.0 / requests,
        (after.switches - before.switches) as f64 / requests,
        share(cpu + own),
        share(own),
    ]
}

fn idle(server: &Server, connections: usize, kind: &str, length: Duration) -> Sample {
    let request = match kind {
        "http" => Request::Small,
        _ => Request::Echo,
    };
    let before = server.used();
    let _load = Load::connect(server.address, connections, request);
    // What the last request has started is over by then.
    std::thread::sleep(length / 4);
    let there = server.used();
    let mut passed = Duration::ZERO;
    let mut after = there;
    let rest = || {
        let began = Instant::now();
        std::thread::sleep(length);
        passed = began.elapsed();
        after = server.used();
    };
    let calls = count::calls_during(server, rest);
    if passed.is_zero() {
        std::thread::sleep(length);
        passed = length;
        after = server.used();
    }
    vec![
        there.resident.saturating_sub(before.resident) as f64 / connections as f64,
        (after.cpu_ns - there.cpu_ns) as f64 / 1_000.0 / passed.as_secs_f64(),
        calls.map_or(f64::NAN, |calls| calls / passed.as_secs_f64()),
    ]
}
