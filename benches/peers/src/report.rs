//! What is printed, and the files.

use crate::harness::{Case, Row, Target};
use std::fmt::Write;

fn figure(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.2}")
    } else if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// The target, in words.
fn target(row: &Row, case: &Case) -> String {
    match case.target {
        Target::None => String::new(),
        Target::Best(most) => format!("<= {most:.2} of the best"),
        Target::Of(most, who) => format!("<= {most:.2} of {who}"),
        Target::AtLeast(least) => format!(">= {least:.2} of the best"),
        Target::Absolute(most) => format!("<= {most} {}", row.unit),
    }
}

/// Median, spread, ratio at the median, ratio at the least disturbed round, target, verdict.
fn cells(row: &Row, case: &Case) -> [String; 6] {
    let [low, median, high] = case.spread();
    let ratio = |of: fn(&Row, &Case) -> f64| {
        let shown = case.is_ours().then(|| row.ratio(case, |c| of(row, c)));
        shown.flatten().map_or(String::new(), |r| format!("{r:.2}"))
    };
    let verdict = match row.verdict(case) {
        None => "",
        Some(true) => "yes",
        Some(false) => "NO",
    };
    [
        figure(median),
        format!("{}-{}", figure(low), figure(high)),
        ratio(|_, c| c.median()),
        ratio(|row, c| c.best(row.more)),
        target(row, case),
        verdict.to_owned(),
    ]
}

/// Prints one row for people.
pub fn print(row: &Row) {
    println!("\n{} ({}): {}", row.name, row.unit, row.about);
    println!(
        "  {:26} {:>9} {:>15} {:>7} {:>8}   target",
        "", "median", "quartiles", "ratio", "at best"
    );
    for case in &row.cases {
        let [median, spread, ratio, best, target, verdict] = cells(row, case);
        let who = case.who;
        println!("  {who:26} {median:>9} {spread:>15} {ratio:>7} {best:>8}   {target} {verdict}");
    }
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "# taskgrove and its peers\n\nTwo workers each, one process, round-robin. Per workload: the median of all rounds, the quartiles, \
         taskgrove's ratio to the best peer (or the one the target names) of the medians and of the least disturbed rounds, and the target.\n",
    );
    for row in rows {
        let _ = writeln!(out, "\n## {}\n\n{}; {}.\n", row.name, row.about, row.unit);
        out += "| who | median | quartiles | ratio | at best | target | reached |\n|---|---|---|---|---|---|---|\n";
        for case in &row.cases {
            let _ = writeln!(out, "| {} | {} |", case.who, cells(row, case).join(" | "));
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Bars per workload, each drawn in proportion to the slowest of its row.
pub fn svg(rows: &[Row]) -> String {
    const WIDTH: f64 = 360.0;
    const BAR: usize = 16;
    let mut body = String::new();
    let mut y = 44;
    for row in rows {
        let title = escape(&format!(
            "{} ({}{})",
            row.name,
            row.unit,
            if row.more { ", more is better" } else { "" }
        ));
        let _ = writeln!(
            body,
            r#"<text x="10" y="{y}" font-weight="bold">{title}</text>"#
        );
        y += 8;
        let top = row
            .cases
            .iter()
            .map(Case::median)
            .fold(f64::MIN_POSITIVE, f64::max);
        for case in &row.cases {
            let [low, median, high] = case.spread().map(|v| v / top * WIDTH);
            let fill = if case.is_ours() { "#2a7f62" } else { "#9aa5b1" };
            let mid = y + BAR / 2;
            let _ = writeln!(
                body,
                r##"<text x="190" y="{}" text-anchor="end">{}</text><rect x="200" y="{y}" width="{median:.1}" height="{}" fill="{fill}"/><line x1="{:.1}" x2="{:.1}" y1="{mid}" y2="{mid}" stroke="#222"/><text x="{:.1}" y="{}">{}</text>"##,
                y + 12,
                escape(case.who),
                BAR - 3,
                200.0 + low,
                200.0 + high.min(WIDTH),
                208.0 + median.max(high.min(WIDTH)),
                y + 12,
                figure(case.median()),
            );
            y += BAR;
        }
        y += 26;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"660\" height=\"{y}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"20\" font-size=\"14\">taskgrove and its peers, two workers each: medians, with quartiles</text>\n{body}</svg>\n"
    )
}
