//! The same servers on taskgrove, smol and tokio, and a load generator that checks every answer.
//!
//! ```text
//! cargo run --release                 # every row; writes results.md
//! cargo run --release -- http echo    # the rows whose names contain one of the words
//! cargo run --release -- --rounds 5   # fewer rounds
//! cargo run --release -- --check      # a short run that checks answers only
//! ```
//!
//! Each runtime serves in a process of its own, with two workers. The generator is one thread of this
//! process. A round loads each runtime once, in turn; ratios are taken within a round.

mod latency;
mod load;
mod process;
mod report;
mod rows;
mod serve;

use process::Server;
use report::Row;

/// The runtimes, the one that ratios refer to first.
pub const RUNTIMES: [&str; 3] = ["tokio", "taskgrove", "smol"];

struct Arguments {
    rounds: usize,
    check: bool,
    words: Vec<String>,
}

fn arguments(given: impl Iterator<Item = String>) -> Arguments {
    let mut arguments = Arguments {
        rounds: 21,
        check: false,
        words: Vec::new(),
    };
    let mut given = given;
    while let Some(word) = given.next() {
        match word.as_str() {
            "--check" => arguments.check = true,
            "--rounds" => {
                let rounds = given.next().and_then(|n| n.parse().ok());
                arguments.rounds = rounds.expect("--rounds takes a number");
            }
            _ => arguments.words.push(word),
        }
    }
    arguments
}

fn main() {
    let most = process::open_files();
    let mut given = std::env::args().skip(1).peekable();
    if given.next_if(|word| word == "serve").is_some() {
        let runtime = given.next().expect("serve RUNTIME KIND");
        let kind = given.next().expect("serve RUNTIME KIND");
        return serve::run(&runtime, &kind);
    }
    let arguments = arguments(given);
    let wanted = |name: &str| {
        arguments.words.is_empty() || arguments.words.iter().any(|word| name.contains(word))
    };
    let mut done = Vec::new();
    for workload in rows::all() {
        if !wanted(&workload.name()) {
            continue;
        }
        if workload.sockets() as u64 + 100 > most {
            println!(
                "\n{}: skipped, this machine allows {most} open files",
                workload.name()
            );
            continue;
        }
        let (rounds, length) = match arguments.check {
            true => (1, rows::SHORT),
            false => (arguments.rounds, workload.length()),
        };
        let start = |runtime: &&str| Server::start(runtime, workload.kind());
        let servers: Option<Vec<Server>> =
            (!workload.wants_fresh_servers()).then(|| RUNTIMES.iter().map(start).collect());
        let mut row = Row::new(workload.name(), workload.unit());
        // One round warms everything up and counts for nothing.
        for round in 0..=rounds {
            for (at, runtime) in RUNTIMES.iter().enumerate() {
                let sample = match &servers {
                    Some(servers) => workload.measure(&servers[at], length),
                    None => workload.measure(&start(runtime), length),
                };
                if round > 0 {
                    row.add(runtime, sample);
                }
            }
        }
        row.print();
        done.push(row);
    }
    if !arguments.check && arguments.words.is_empty() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::write(here.join("results.md"), report::markdown(&done)).expect("results.md");
    }
}
