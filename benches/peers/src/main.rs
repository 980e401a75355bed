//! taskgrove and its peers, side by side: `cargo run --release` here.
//!
//! Arguments: none for everything, which also writes `results.md` and `results.svg` beside this
//! package's manifest; `overhead` for what supervision adds to a plain spawn; `bars` for the three
//! figures every build has to reach (exit 1 if one does not); or words, to run the workloads whose
//! names contain one. `--rounds F` multiplies the number of rounds by `F`; `--who NAME` runs only
//! the executors whose names begin so.

mod cancel;
mod harness;
mod memory;
mod raw;
mod raw_work;
mod report;
mod rows;
mod supervise;
mod timers;

use harness::{Case, Row};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &words[..]
        && flag == "--weigh"
    {
        memory::weigh(name);
    }
    let mut scale = 1.0;
    if let Some(at) = words.iter().position(|word| word == "--rounds") {
        let value = words.get(at + 1).and_then(|v| v.parse().ok());
        let Some(value) = value.filter(|v: &f64| *v > 0.0) else {
            eprintln!("--rounds takes a factor, like 0.2");
            return ExitCode::from(2);
        };
        scale = value;
        words.drain(at..at + 2);
    }
    let mut who = None;
    if let Some(at) = words.iter().position(|word| word == "--who") {
        who = words.get(at + 1).cloned();
        words.drain(at..(at + 2).min(words.len()));
    }
    match words.first().map(String::as_str) {
        Some("overhead") => overhead(scale),
        Some("bars") => return bars(scale),
        _ => everything(scale, &words, who.as_deref()),
    }
    ExitCode::SUCCESS
}

fn measured(rows: Vec<Row>, scale: f64, words: &[String]) -> Vec<Row> {
    let mut rows = rows;
    // A row that shows what another measured is asked for with it.
    let family = |name: &str| name.split('_').next().unwrap_or(name).to_owned();
    let wanted = |row: &Row| {
        let hit = |name: &str| words.iter().any(|word| name.contains(word.as_str()));
        let paired = ["wake", "sleep", "memory"].contains(&family(row.name).as_str());
        words.is_empty() || hit(row.name) || paired && hit(&family(row.name))
    };
    rows.retain(wanted);
    for row in &mut rows {
        row.measure(scale);
        report::print(row);
    }
    rows
}

fn everything(scale: f64, words: &[String], who: Option<&str>) {
    let mut rows = rows::plain();
    rows.extend(rows::wakes());
    rows.extend(rows::supervised());
    rows.extend(rows::timers());
    rows.extend(rows::memory());
    if let Some(who) = who {
        for row in &mut rows {
            row.cases.retain(|case| case.who.starts_with(who));
        }
        rows.retain(|row| !row.cases.is_empty());
    }
    let rows = measured(rows, scale, words);
    println!();
    let missed = rows
        .iter()
        .flat_map(|row| row.cases.iter().map(move |case| (row, case)));
    for (row, case) in missed.filter(|(row, case)| row.verdict(case) == Some(false)) {
        println!("short of its target: {} ({})", row.name, case.who);
    }
    if words.is_empty() && who.is_none() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::write(here.join("results.md"), report::markdown(&rows)).expect("results.md");
        std::fs::write(here.join("results.svg"), report::svg(&rows)).expect("results.svg");
    }
}

fn overhead(scale: f64) {
    let rows = measured(rows::overhead(), scale, &[]);
    let of = |row: &Row, who: &str| {
        row.cases
            .iter()
            .find(|c| c.who == who)
            .map_or(f64::NAN, Case::median)
    };
    let pairs = [
        ("taskgrove", "taskgrove roots", "taskgrove"),
        ("tokio, JoinSet", "tokio", "tokio JoinSet"),
        ("tokio, token + TaskTracker", "tokio", "token + TaskTracker"),
        (
            "async-executor",
            "async-executor",
            "async-executor Vec<Task>",
        ),
    ];
    println!("\nsupervised spawn against the same executor's plain one (ns a task)");
    for (name, plain, supervised) in pairs {
        let (plain, supervised) = (of(&rows[0], plain), of(&rows[1], supervised));
        println!(
            "  {name:28} {plain:>6.0} -> {supervised:>6.0}  x{:.2}",
            supervised / plain
        );
    }
}

fn bars(scale: f64) -> ExitCode {
    let rows = measured(rows::bars(), scale, &[]);
    let missed = |row: &Row| {
        row.cases
            .iter()
            .any(|case| row.verdict(case) == Some(false))
    };
    if rows.iter().any(missed) {
        println!("\na bar is missed");
        return ExitCode::FAILURE;
    }
    println!("\nall three bars hold");
    ExitCode::SUCCESS
}
