//! The plot: for each workload, how many times taskgrove's figure each peer has, on a scale of
//! powers of ten.

use crate::harness::{Case, Row};
use crate::report::{figure, title};
use crate::svg::{Scale, page, text};
use std::fmt::Write;

/// What is left and right of the scale: names, and figures that do not fit.
const LEFT: f64 = 300.0;
const WIDTH: f64 = 620.0;
const RIGHT: f64 = 90.0;
const LINE: f64 = 22.0;
const TOP: f64 = 112.0;
/// What is above does not fit.
const MOST: f64 = 300.0;
const SCALE: Scale = Scale {
    left: LEFT,
    width: WIDTH,
    least: 0.2,
    most: MOST,
};

/// How a peer is drawn: the start of its name, the colour, and a mark (see [`mark`]).
const STYLES: [(&str, &str, char); 13] = [
    ("tokio-graceful", "#8c564b", 'o'),
    ("tokio JoinSet", "#1f77b4", 'o'),
    ("token + TaskTracker", "#17becf", 's'),
    ("tokio", "#1f77b4", 'd'),
    ("async-executor Vec", "#ff7f0e", 'o'),
    ("async-executor", "#ff7f0e", 'd'),
    ("StaticExecutor", "#bc8f00", 's'),
    ("futures ThreadPool", "#9467bd", 'o'),
    ("nexosim", "#7f7f7f", 'd'),
    ("smolscale", "#2ca02c", 'o'),
    ("ractor", "#d62728", 's'),
    ("kameo", "#e377c2", 's'),
    ("floor", "#000000", '|'),
];

fn style(who: &str) -> (&'static str, char) {
    let style = STYLES.iter().find(|style| who.starts_with(style.0));
    style.map_or(("#000000", 'o'), |style| (style.1, style.2))
}

/// Where a ratio is on the scale.
fn x(ratio: f64) -> f64 {
    SCALE.x(ratio)
}

fn mark(x: f64, y: f64, who: &str) -> String {
    let (colour, shape) = style(who);
    match shape {
        's' => format!(
            r#"<rect x="{:.1}" y="{:.1}" width="9" height="9" fill="{colour}"/>"#,
            x - 4.5,
            y - 4.5
        ),
        'd' => format!(
            r#"<path d="M{x:.1} {:.1}l6 6l-6 6l-6 -6z" fill="{colour}"/>"#,
            y - 6.0
        ),
        '|' => format!(
            r#"<path d="M{x:.1} {:.1}v12" stroke="{colour}" stroke-width="2"/>"#,
            y - 6.0
        ),
        _ => format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" fill="{colour}"/>"#),
    }
}

/// How many times better `ours` is than `theirs`.
fn times(row: &Row, ours: f64, theirs: f64) -> f64 {
    if row.more {
        ours / theirs
    } else {
        theirs / ours
    }
}

/// One workload: the peers, with their quartiles, and where the target is.
fn line(out: &mut String, row: &Row, ours: &Case, y: f64) {
    let (base, unit) = (ours.median(), row.unit);
    let name = format!("{}  {} {unit}", title(row, ours), figure(base));
    let _ = writeln!(out, "{}", text(LEFT - 12.0, y + 4.0, "end", &name));
    if let Some(needed) = row.needed(ours) {
        let (from, to) = (x(1.0), x(needed));
        let colour = match row.verdict(ours) {
            Some(false) => "#d62728",
            _ => "#2a7f62",
        };
        let _ = writeln!(
            out,
            r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="14" fill="{colour}" fill-opacity="0.18"/><path d="M{to:.1} {:.1}v14" stroke="{colour}" stroke-width="2"/>"#,
            from.min(to),
            y - 7.0,
            (to - from).abs(),
            y - 7.0,
        );
    }
    let [low, _, high] = ours.spread().map(|figure| times(row, base, figure));
    let _ = writeln!(
        out,
        r##"<path d="M{:.1} {y:.1}H{:.1}" stroke="#2a7f62" stroke-width="3"/>"##,
        x(low),
        x(high),
    );
    let peers = row.cases.iter().filter(|case| !case.is_ours());
    let mut beyond = Vec::new();
    for peer in peers {
        let [low, median, high] = peer.spread().map(|figure| times(row, base, figure));
        if median > MOST {
            beyond.push(median);
            continue;
        }
        let _ = writeln!(
            out,
            r#"<path d="M{:.1} {y:.1}H{:.1}" stroke="{}" stroke-opacity="0.6"/>{}"#,
            x(low),
            x(high),
            style(peer.who).0,
            mark(x(median), y, peer.who),
        );
    }
    if let Some(most) = beyond.into_iter().reduce(f64::max) {
        let label = format!("to {most:.0}x →");
        let _ = writeln!(
            out,
            "{}",
            text(LEFT + WIDTH + 8.0, y + 4.0, "start", &label)
        );
    }
}

/// The marks and who they stand for.
fn legend(out: &mut String) {
    for (i, (who, ..)) in STYLES.iter().enumerate() {
        let (at, y) = (20.0 + (i % 4) as f64 * 240.0, 42.0 + (i / 4) as f64 * 18.0);
        let name = match *who {
            "tokio-graceful" => "tokio-graceful-shutdown",
            "async-executor Vec" => "async-executor Vec<Task>",
            "floor" => "floor: boxed futures",
            who => who,
        };
        let _ = writeln!(
            out,
            "{}{}",
            mark(at, y, who),
            text(at + 10.0, y + 4.0, "start", name)
        );
    }
}

/// The plot of every row that has a peer.
pub fn svg(rows: &[Row]) -> String {
    let mut body = String::new();
    legend(&mut body);
    let ours = |row| {
        Row::cases(row)
            .filter(|case| case.is_ours())
            .map(move |case| (row, case))
    };
    // A count of allocations that is almost 0 has no ratio.
    let lines = rows
        .iter()
        .filter(|row| row.best_peer(Case::median).is_some() && row.unit != "calls");
    let lines: Vec<_> = lines.flat_map(ours).collect();
    let bottom = TOP + LINE * lines.len() as f64;
    for ratio in [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0] {
        let (at, width) = (x(ratio), if ratio == 1.0 { 1.5 } else { 0.5 });
        let colour = if ratio == 1.0 { "#2a7f62" } else { "#bbbbbb" };
        let _ = writeln!(
            body,
            r#"<path d="M{at:.1} {:.1}V{bottom:.1}" stroke="{colour}" stroke-width="{width}"/>{}"#,
            TOP - 8.0,
            text(at, TOP - 12.0, "middle", &format!("{ratio}x")),
        );
    }
    for (i, (row, case)) in lines.into_iter().enumerate() {
        line(&mut body, row, case, TOP + LINE * (i as f64 + 0.5));
    }
    let (width, height) = (LEFT + WIDTH + RIGHT, bottom + 30.0);
    let note = "Shaded: from taskgrove to where the peer that its target names has to be at least; red if it is not.";
    let _ = writeln!(body, "{}", text(14.0, height - 10.0, "start", note));
    let title =
        "How many times taskgrove's figure each has (right of the line: taskgrove is better)";
    page(width, height, title, &body)
}
