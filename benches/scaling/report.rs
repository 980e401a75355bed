//! The table and the plot.

use crate::forest::OPERATIONS;
use crate::{FORMS, SIZES, Series};
use std::fmt::Write as _;

const SMALL: usize = 10_000;
const LARGE: usize = 1_000_000;

fn find(all: &[Series], workers: usize, form: &str, size: usize) -> Option<[f64; 4]> {
    let mut series = all.iter();
    series
        .find(|s| (s.workers, s.form.name(), s.size) == (workers, form, size))
        .map(Series::medians)
}

/// Everything in numbers, as markdown.
pub(crate) fn table(all: &[Series], rounds: usize) -> String {
    let mut out = format!(
        "Nanoseconds a node, medians of {rounds} rounds. `growth` is the figure at {LARGE} nodes \
         over that at {SMALL}; it is to be at most 1.5.\n\n| form | workers | operation |"
    );
    for size in SIZES {
        let _ = write!(out, " {size} |");
    }
    out += " growth |\n|---|---|---|---|---|---|---|---|\n";
    for form in FORMS.map(|form| form.name()) {
        for workers in [1, 2] {
            for (at, operation) in OPERATIONS.into_iter().enumerate() {
                let _ = write!(out, "| {form} | {workers} | {operation} |");
                let figure = |size| find(all, workers, form, size).map(|medians| medians[at]);
                for size in SIZES {
                    let _ = match figure(size) {
                        Some(nanos) => write!(out, " {nanos:.0} |"),
                        None => write!(out, " |"),
                    };
                }
                let _ = match (figure(SMALL), figure(LARGE)) {
                    (Some(small), Some(large)) => writeln!(out, " {:.2} |", large / small),
                    _ => writeln!(out, " |"),
                };
            }
        }
    }
    out += "\nMore workers than cores, 100000 nodes:\n\n| form | operation |";
    let pools = [1, 2, 4, 8, 16];
    for workers in pools {
        let _ = write!(out, " {workers} |");
    }
    out += "\n|---|---|---|---|---|---|---|\n";
    for form in FORMS.map(|form| form.name()) {
        for (at, operation) in OPERATIONS.into_iter().enumerate() {
            let _ = write!(out, "| {form} | {operation} |");
            for workers in pools {
                let _ = match find(all, workers, form, 100_000) {
                    Some(medians) => write!(out, " {:.0} |", medians[at]),
                    None => write!(out, " |"),
                };
            }
            out += "\n";
        }
    }
    out
}

const PANEL: (f64, f64) = (280.0, 220.0);
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#3d8b40", "#7a4fa3"];

/// One panel an operation, one line a form: full with one worker, dashed with two. Both axes are
/// logarithmic.
pub(crate) fn plot(all: &[Series]) -> String {
    let medians = || all.iter().flat_map(Series::medians);
    let low = medians().fold(f64::MAX, f64::min).log10().floor();
    let high = medians().fold(0.0, f64::max).log10().ceil();
    let x = |size: usize| ((size as f64).log10() - 3.0) / 3.0 * PANEL.0;
    let y = |nanos: f64| (high - nanos.log10()) / (high - low) * PANEL.1;
    let (width, height) = (4.0 * (PANEL.0 + 60.0) + 20.0, PANEL.1 + 110.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (at, operation) in OPERATIONS.into_iter().enumerate() {
        let left = 50.0 + at as f64 * (PANEL.0 + 60.0);
        let _ = writeln!(
            out,
            "<g transform=\"translate({left} 40)\">\n\
             <text x=\"{}\" y=\"-12\" text-anchor=\"middle\" font-size=\"14\">{operation}, ns a node</text>",
            PANEL.0 / 2.0
        );
        for size in SIZES {
            let _ = writeln!(
                out,
                "<path d=\"M{0:.1} 0V{1}\" stroke=\"#ddd\"/>\
                 <text x=\"{0:.1}\" y=\"{2}\" text-anchor=\"middle\">{size}</text>",
                x(size),
                PANEL.1,
                PANEL.1 + 16.0
            );
        }
        for decade in low as i32..=high as i32 {
            let value = 10f64.powi(decade);
            let _ = writeln!(
                out,
                "<path d=\"M0 {0:.1}H{1}\" stroke=\"#ddd\"/>\
                 <text x=\"-5\" y=\"{2:.1}\" text-anchor=\"end\">{value}</text>",
                y(value),
                PANEL.0,
                y(value) + 4.0
            );
        }
        for (form, colour) in FORMS.map(|form| form.name()).into_iter().zip(COLOURS) {
            for (workers, dashes) in [(1, "none"), (2, "5 3")] {
                let points: Vec<String> = SIZES
                    .into_iter()
                    .filter_map(|size| Some((size, find(all, workers, form, size)?[at])))
                    .map(|(size, nanos)| format!("{:.1},{:.1}", x(size), y(nanos)))
                    .collect();
                let _ = writeln!(
                    out,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
                     stroke-dasharray=\"{dashes}\"/>",
                    points.join(" ")
                );
            }
        }
        out += "</g>\n";
    }
    for (at, (form, colour)) in FORMS.into_iter().zip(COLOURS).enumerate() {
        let left = 50.0 + at as f64 * 120.0;
        let bottom = height - 20.0;
        let _ = writeln!(
            out,
            "<path d=\"M{left} {bottom}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            left + 30.0,
            bottom + 4.0,
            form.name()
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"540\" y=\"{}\">full: one worker, dashed: two; nodes to the right</text>\n</svg>",
        height - 16.0
    );
    out
}
