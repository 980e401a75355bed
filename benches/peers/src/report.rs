//! What is printed, and the tables.

use crate::harness::{Case, Row, Target};
use crate::supervisors::order;
use std::fmt::Write;

pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The target, in words.
fn target(row: &Row, case: &Case) -> String {
    match case.target {
        Target::None => String::new(),
        Target::Best(most) => format!("<= {most:.2} of the best"),
        Target::Of(most, who) => format!("<= {most:.2} of {who}"),
        Target::AtLeast(least) => format!(">= {least:.2} of the best"),
        Target::AtMost(most) => format!("<= {most} {}", row.unit),
    }
}

fn verdict(row: &Row, case: &Case) -> &'static str {
    match row.verdict(case) {
        None => "",
        Some(true) => "met",
        Some(false) => "short",
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

const HEADS: [&str; 9] = [
    "median",
    "quartiles",
    "cores",
    "on one core",
    "of best peer",
    "of target's",
    "undisturbed",
    "target",
    "",
];

/// Median, quartiles, cores used (and the share of rounds with two), the median of the other rounds, ratio
/// to the best peer, to the one the target names, and that of the least
/// disturbed rounds; target, verdict.
fn cells(row: &Row, case: &Case) -> [String; 9] {
    let [low, median, high] = case.spread();
    let ours = |value: Option<f64>| ratio(value.filter(|_| case.is_ours()));
    let named = match case.target {
        Target::Of(..) => row.ratio(case, Case::median),
        _ => None,
    };
    [
        figure(median),
        format!("{}-{}", figure(low), figure(high)),
        format!(
            "{:.1} ({:.0} %)",
            case.cores(),
            100.0 * case.share_of_two_cores()
        ),
        case.median_on_one_core().map_or(String::new(), figure),
        ours(row.ratio_to_best(case, Case::median)),
        ours(named),
        ours(row.ratio(case, |c| c.best(row.more))),
        target(row, case),
        verdict(row, case).to_owned(),
    ]
}

/// Prints one row for people.
pub fn print(row: &Row) {
    println!("\n{} ({}): {}", row.name, row.unit, row.about);
    let line = |who: &str, cells: [&str; 9]| {
        let [
            median,
            spread,
            cores,
            one_core,
            best,
            named,
            calm,
            target,
            verdict,
        ] = cells;
        let line = format!(
            "  {who:25} {median:>8} {spread:>15} {cores:>11} {one_core:>11} {best:>12} {named:>11} {calm:>11}  {target} {verdict}"
        );
        println!("{}", line.trim_end());
    };
    line("", HEADS);
    for case in &row.cases {
        line(case.who, cells(row, case).each_ref().map(String::as_str));
    }
}

/// The name of a row's case, where it has more than one that is taskgrove's.
pub fn title(row: &Row, case: &Case) -> String {
    match case.who.strip_prefix("taskgrove ") {
        Some(kind) if row.cases.iter().filter(|c| c.is_ours()).count() > 1 => {
            format!("{}, {kind}", row.name)
        }
        _ => row.name.to_owned(),
    }
}

/// Every case of taskgrove's that has a target.
pub fn aims(rows: &[Row]) -> impl Iterator<Item = (&Row, &Case)> {
    let cases = |row| Row::cases(row).map(move |case| (row, case));
    rows.iter()
        .flat_map(cases)
        .filter(|(_, case)| !matches!(case.target, Target::None))
}

/// The rows that the README shows, wins and losses alike; everything else is in `results.md`.
const HEADLINES: [&str; 8] = [
    "spawn_join_local, roots",
    "spawn_join_external",
    "yield_many",
    "ping_pong, roots",
    "cancel_wide",
    "supervised_spawn",
    "service_cycle",
    "memory_parked, roots",
];

/// The short table for the README.
pub fn headlines(rows: &[Row]) -> String {
    let mut out = String::from("| workload | taskgrove | against | ratio |\n|---|---|---|---|\n");
    for (row, case) in aims(rows) {
        let title = title(row, case);
        if !HEADLINES.contains(&title.as_str()) {
            continue;
        }
        let rival = row.rival(case, Case::median);
        let rival = rival.map_or(String::new(), |rival| {
            format!("{}, {}", figure(rival.median()), rival.who)
        });
        let _ = writeln!(
            out,
            "| `{title}` | {} {} | {rival} | {} |",
            figure(case.median()),
            row.unit,
            ratio(row.ratio(case, Case::median)),
        );
    }
    out
}

/// One line for each target.
fn targets(rows: &[Row]) -> String {
    let mut out = String::from(
        "| workload | taskgrove | against | ratio | target | |\n|---|---|---|---|---|---|\n",
    );
    for (row, case) in aims(rows) {
        let rival = row.rival(case, Case::median);
        let rival = rival.map_or(String::new(), |rival| {
            format!("{} {}", rival.who, figure(rival.median()))
        });
        let _ = writeln!(
            out,
            "| `{}` | {} {} | {rival} | {} | {} | {} |",
            title(row, case),
            figure(case.median()),
            row.unit,
            ratio(row.ratio(case, Case::median)),
            target(row, case),
            verdict(row, case),
        );
    }
    out
}

/// Which releases of the peers these are.
fn versions() -> String {
    const PEERS: [&str; 9] = [
        "tokio",
        "tokio-util",
        "async-executor",
        "futures",
        "smolscale",
        "nexosim",
        "ractor",
        "kameo",
        "tokio-graceful-shutdown",
    ];
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let versions: Vec<_> = PEERS.iter().filter_map(|name| version(name)).collect();
    versions.join(", ")
}

/// Everything, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut out = format!(
        "# taskgrove and its peers\n\nWritten by `cargo run --release` in `benches/peers`. Two workers each, {cores} \
         cores, one process, round-robin: all cases of a row run once a round (the slowest in one round of ten). \
         {}.\n\n\
         ![Ratios](results.svg)\n\n## Targets\n\n{}\nRounds of `cancel_deep` and `cancel_tree` in which every child was dropped before its parent: {}.\n\n## Rows\n\nMedian and quartiles; the cores that the process used, and \
         the share of rounds in which these were at least 1.5. Where a workload is for two threads and a tenth of its \
         rounds were such, its figures are of those alone, and the median of the others is beside it. Then taskgrove's median divided by that of the best peer (floors are none), by that of the one its target names, and the \
         ratio that the target is about for the least disturbed round of each.\n",
        versions(),
        targets(rows),
        order()
    );
    for row in rows {
        let _ = writeln!(out, "\n### {}\n\n{}; {}.\n", row.name, row.about, row.unit);
        let _ = writeln!(out, "| who | {} |", HEADS.join(" | "));
        out += "|---|---|---|---|---|---|---|---|---|---|\n";
        for case in &row.cases {
            let _ = writeln!(out, "| {} | {} |", case.who, cells(row, case).join(" | "));
        }
    }
    out
}

/// `text` with what stands between the markers of the table replaced by `table`.
pub fn embed(text: &str, table: &str) -> Option<String> {
    const BEGIN: &str = "<!-- figures: written by benches/peers -->\n";
    const END: &str = "<!-- end of the figures -->";
    let from = text.find(BEGIN)? + BEGIN.len();
    let to = from + text[from..].find(END)?;
    Some(format!("{}{table}{}", &text[..from], &text[to..]))
}
