//! The same servers on taskgrove and its peers, and a load generator that checks every answer.
//!
//! ```text
//! cargo run --release                 # every row; writes results.md and results.svg
//! cargo run --release -- http echo    # the rows whose names contain one of the words
//! cargo run --release -- --rounds 5   # fewer rounds
//! cargo run --release -- --threads 2  # threads of the load generator
//! cargo run --release -- --check      # a short run: answers, and system calls a request
//! cargo run --release -- serve RUNTIME KIND                # one server, for a profiler
//! cargo run --release -- load ADDRESS CONNECTIONS EACH     # so many requests on each connection
//! ```
//!
//! Each runtime serves in a process of its own, with two workers. A round loads each runtime once, in
//! turn, in an order that is reversed each time; ratios are taken within a round.

mod count;
mod latency;
mod load;
mod plot;
mod process;
mod report;
mod rows;
mod serve;
#[path = "../../common/svg.rs"]
mod svg;

use process::Server;
use report::{Row, Sample};
use rows::Workload;

/// By how much the short run lets system calls a request exceed a row's target: under strace a request takes
/// longer, and what happens by the clock weighs more.
const MARGIN: f64 = 1.15;

struct Arguments {
    rounds: usize,
    threads: usize,
    check: bool,
    words: Vec<String>,
}

fn arguments(given: impl Iterator<Item = String>) -> Arguments {
    // The server has two workers; what is left of the processors makes the load.
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut arguments = Arguments {
        rounds: 21,
        threads: processors.saturating_sub(2).clamp(1, 4),
        check: false,
        words: Vec::new(),
    };
    let mut given = given;
    while let Some(word) = given.next() {
        let mut number = || {
            let number = given.next().and_then(|n| n.parse().ok());
            number
                .filter(|n| *n > 0)
                .unwrap_or_else(|| panic!("{word} takes a number above 0"))
        };
        match word.as_str() {
            "--check" => arguments.check = true,
            "--rounds" => arguments.rounds = number(),
            "--threads" => arguments.threads = number(),
            _ if word.starts_with("--") => panic!("no such argument: {word}"),
            _ => arguments.words.push(word),
        }
    }
    arguments
}

/// The samples of one round, in the order of the row's runtimes; those that sat it out have none.
fn round(row: &Row, n: usize, at: &mut dyn FnMut(usize) -> Sample) -> Vec<Sample> {
    let mut samples = vec![vec![f64::NAN; row.figures.len()]; row.runtimes.len()];
    // The others are there to show where they stand, and nothing has to be reached against them.
    let turn = |i: &usize| *i < 2 || n.is_multiple_of(3);
    let mut order: Vec<usize> = (0..row.runtimes.len()).filter(turn).collect();
    if n % 2 == 1 {
        order.reverse();
    }
    for i in order {
        samples[i] = at(i);
    }
    samples
}

fn counts(workload: Workload, row: &mut Row, rounds: usize, check: bool) {
    let mut notes = Vec::new();
    for n in 0..rounds {
        let samples = round(row, n, &mut |i| {
            let counted = workload.counts(row.runtimes[i], check);
            let (sample, note) = counted.expect("a row of counts");
            if n == 0 {
                notes.push(note);
            }
            sample
        });
        samples
            .into_iter()
            .enumerate()
            .for_each(|(i, s)| row.add(i, s));
    }
    row.notes.append(&mut notes);
}

fn measured(workload: Workload, row: &mut Row, rounds: usize, check: bool) {
    let length = if check {
        rows::SHORT
    } else {
        workload.length()
    };
    let start = |runtime: &&str| Server::start(runtime, workload.kind());
    let mut servers: Option<Vec<Server>> =
        (!workload.wants_fresh_servers()).then(|| row.runtimes.iter().map(start).collect());
    let rate = servers.as_ref().map_or(0.0, |all| workload.rate(&all[0]));
    if let Some(servers) = &mut servers {
        // Warms everything up and counts for nothing.
        for server in servers {
            workload.measure(server, rows::SHORT, rate);
        }
    }
    for n in 0..rounds {
        let samples = round(row, n, &mut |i| match &servers {
            Some(servers) => workload.measure(&servers[i], length, rate),
            None => workload.measure(&start(&row.runtimes[i]), length, rate),
        });
        samples
            .into_iter()
            .enumerate()
            .for_each(|(i, s)| row.add(i, s));
    }
}

fn main() {
    let files = process::open_files();
    let mut given = std::env::args().skip(1).peekable();
    if given.next_if(|word| word == "serve").is_some() {
        let runtime = given.next().expect("serve RUNTIME KIND");
        let kind = given.next().expect("serve RUNTIME KIND");
        return serve::run(&runtime, &kind);
    }
    if given.next_if(|word| word == "load").is_some() {
        let mut next = || given.next().expect("load ADDRESS CONNECTIONS EACH");
        let address = next().parse().expect("an address");
        let (connections, each) = (next().parse(), next().parse());
        let connections = connections.expect("a number");
        let mut load = load::Load::connect(address, connections, load::Request::Small);
        let answered = load.run(load::Until::Each(each.expect("a number")));
        return println!("{answered} right answers");
    }
    let arguments = arguments(given);
    let check = arguments.check;
    let _ = load::THREADS.set(arguments.threads);
    let wanted = |name: &str| {
        arguments.words.is_empty() || arguments.words.iter().any(|word| name.contains(word))
    };
    let most = match check {
        true => 1_000,
        false => (files as usize).saturating_sub(200),
    };
    let began = std::time::Instant::now();
    let mut done = Vec::new();
    for workload in rows::all() {
        let name = workload.name();
        if !wanted(&name) {
            continue;
        }
        let (workload, note) = workload.within(most);
        let rounds = match check {
            true => 1,
            false => arguments.rounds.min(workload.rounds()),
        };
        let mut row = Row::new(name, workload.figures(), workload.runtimes());
        row.notes.extend(note.filter(|_| !check));
        match workload {
            Workload::Counts { .. } => counts(workload, &mut row, rounds, check),
            _ => measured(workload, &mut row, rounds, check),
        }
        if check {
            few_calls(workload, &row);
        } else {
            row.print();
        }
        done.push(row);
    }
    println!("\n{} s", began.elapsed().as_secs());
    if !check && arguments.words.is_empty() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let table = report::markdown(&done, arguments.rounds);
        std::fs::write(here.join("results.md"), table).expect("results.md");
        std::fs::write(here.join("results.svg"), plot::svg(&done)).expect("results.svg");
    }
}

/// Says what the short run has found. It fails where taskgrove makes more system calls a request than its
/// target and a margin.
fn few_calls(workload: Workload, row: &Row) {
    let Workload::Counts { calls: target, .. } = workload else {
        return println!("{}: every answer is right", row.name);
    };
    let lines = row.lines();
    let counted = lines
        .iter()
        .find(|line| line.runtime == "taskgrove" && line.figure.name.ends_with("strace"))
        .map_or(f64::NAN, |line| line.values[1]);
    if counted.is_nan() {
        return println!("{}: not counted, for want of strace", row.name);
    }
    let most = target * MARGIN;
    println!(
        "{}: {counted:.2} system calls a request, at most {most:.2}",
        row.name
    );
    assert!(counted <= most, "more system calls than that");
}
