//! taskgrove and its peers, side by side: `cargo run --release` here.
//!
//! Arguments: none for everything, which also writes `results.md` and `results.svg` beside this
//! package's manifest; `overhead` for what supervision adds to a plain spawn; `bars` for the three
//! figures every build has to reach (exit 1 if one does not); `cliffs`, and words, for everyday workloads
//! beside tokio and async-executor (exit 1 if one takes too long for no known cause); or words, to run the workloads whose
//! names contain one. `--rounds F` multiplies the number of rounds by `F`; `--who NAME` runs only
//! the executors whose names begin so.

mod cliffs;
mod filled;
mod harness;
mod latency;
mod memory;
mod nodes;
mod plot;
mod raw;
mod raw_work;
mod report;
mod rows;
mod supervisors;
#[path = "../../common/svg.rs"]
mod svg;
mod timers;

use harness::{Case, Row};
use std::path::Path;
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
        Some("cliffs") if cliffs::run(scale, &words[1..]) => {}
        Some("cliffs") => return ExitCode::FAILURE,
        _ => everything(scale, &words, who.as_deref()),
    }
    ExitCode::SUCCESS
}

fn measured(rows: Vec<Row>, scale: f64, words: &[String]) -> Vec<Row> {
    let mut rows = rows;
    // A row that shows what another one measured is asked for with it.
    let family = |name: &'static str| {
        let families = ["wake", "sleep", "memory_parked", "memory_supervised"];
        let family = families.into_iter().find(|family| name.starts_with(family));
        family.unwrap_or(name)
    };
    let hit =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let names = rows.iter().map(|row| row.name).filter(|name| hit(name));
    let wanted: Vec<_> = names.map(family).collect();
    rows.retain(|row| wanted.contains(&family(row.name)));
    for row in &mut rows {
        row.measure(scale);
        report::print(row);
    }
    rows
}

fn everything(scale: f64, words: &[String], who: Option<&str>) {
    let mut rows = rows::everything();
    if let Some(who) = who {
        for row in &mut rows {
            row.cases.retain(|case| case.who.starts_with(who));
        }
        rows.retain(|row| !row.cases.is_empty());
    }
    let rows = measured(rows, scale, words);
    println!();
    let order = supervisors::order();
    if !order.is_empty() {
        println!("rounds in which every child was dropped before its parent: {order}\n");
    }
    for (row, case) in report::aims(&rows) {
        if row.verdict(case) == Some(false) {
            println!("short of its target: {} ({})", row.name, case.who);
        }
    }
    if words.is_empty() && who.is_none() {
        write(&rows).expect("the results are written");
    }
}

/// Writes `results.md` and `results.svg` beside the manifest, and the short table into the README.
fn write(rows: &[Row]) -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(here.join("results.md"), report::markdown(rows))?;
    std::fs::write(here.join("results.svg"), plot::svg(rows))?;
    let readme = here.join("../../README.md");
    let text = std::fs::read_to_string(&readme)?;
    match report::embed(&text, &report::headlines(rows)) {
        Some(text) => std::fs::write(readme, text),
        None => Err(std::io::Error::other(
            "the README has no place for the table",
        )),
    }
}

/// Each that supervises, and the executor it runs on.
fn overhead(scale: f64) {
    let rows = measured(rows::overhead(), scale, &[]);
    let of = |row: &Row, who: &str| {
        let case = row.cases().find(|case| case.who == who);
        case.map_or(f64::NAN, Case::median)
    };
    println!("\nsupervised spawn against the same executor's plain one (ns a task)");
    for (supervised, plain) in rows::OVERHEADS {
        let before = of(&rows[0], plain);
        let after = of(&rows[1], supervised);
        let (more, times) = (after - before, after / before);
        println!(
            "  {supervised:25} {plain:>16} {before:>6.0} -> {after:>6.0} {more:>+7.0}  x{times:.2}"
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
