//! Samples, their medians and ratios, what was to be reached, and the table.

use crate::rows::{Figure, Target};
use std::fmt::Write;

/// The figures of one measurement, in the order of the row's.
pub type Sample = Vec<f64>;

pub struct Row {
    pub name: String,
    pub figures: Vec<Figure>,
    /// The first is the one that ratios refer to.
    pub runtimes: Vec<&'static str>,
    /// For each runtime its samples, a round each.
    samples: Vec<Vec<Sample>>,
    pub notes: Vec<String>,
}

/// One figure of one runtime: quartiles of it, and of its ratio to the first runtime's in each round.
pub struct Line<'a> {
    pub figure: &'a Figure,
    pub runtime: &'static str,
    pub values: [f64; 3],
    pub ratios: [f64; 3],
    /// Whether the target is met, where there is one for this runtime.
    pub met: Option<bool>,
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    if values.is_empty() {
        return [f64::NAN; 3];
    }
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

pub fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl Row {
    pub fn new(name: String, figures: Vec<Figure>, runtimes: Vec<&'static str>) -> Row {
        let samples = runtimes.iter().map(|_| Vec::new()).collect();
        Row {
            name,
            figures,
            runtimes,
            samples,
            notes: Vec::new(),
        }
    }

    pub fn add(&mut self, runtime: usize, sample: Sample) {
        self.samples[runtime].push(sample);
    }

    pub fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for (n, figure) in self.figures.iter().enumerate() {
            for (at, &runtime) in self.runtimes.iter().enumerate() {
                let ours = &self.samples[at];
                let values = quartiles(ours.iter().map(|sample| sample[n]).collect());
                let rounds = ours.iter().zip(&self.samples[0]);
                let ratios = quartiles(rounds.map(|(a, b)| a[n] / b[n]).collect());
                let subject = runtime == "taskgrove" || runtime == "supervised";
                let met = match figure.target {
                    _ if !subject || !values[1].is_finite() => None,
                    Target::None => None,
                    Target::Most(most) => Some(values[1] <= most),
                    _ if at == 0 || !ratios[1].is_finite() => None,
                    Target::RatioLeast(least) => Some(ratios[1] >= least),
                    Target::RatioMost(most) => Some(ratios[1] <= most),
                };
                lines.push(Line {
                    figure,
                    runtime,
                    values,
                    ratios,
                    met,
                });
            }
        }
        lines
    }

    pub fn print(&self) {
        println!("\n{}", self.name);
        for line in self.lines() {
            let [low, median, high] = line.values.map(figure);
            let [ratio_low, ratio, ratio_high] = line.ratios.map(figure);
            let spread = format!("{low}-{high}");
            println!(
                "  {:30} {:22} {median:>9} {spread:>17}  {ratio:>5} ({ratio_low}-{ratio_high}) {}",
                line.figure.name,
                line.runtime,
                line.verdict(),
            );
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

impl Line<'_> {
    /// The target and whether it is met.
    fn verdict(&self) -> String {
        let Some(met) = self.met else {
            return String::new();
        };
        let target = match self.figure.target {
            Target::None => return String::new(),
            Target::Most(most) => format!("at most {most}"),
            Target::RatioMost(most) => format!("at most {most} times"),
            Target::RatioLeast(least) => format!("at least {least} times"),
        };
        format!("{target}: {}", if met { "met" } else { "**missed**" })
    }
}

pub fn markdown(rows: &[Row], rounds: usize) -> String {
    let mut out = format!(
        "# Servers on taskgrove and its peers\n\nWritten by `cargo run --release` in `benches/net`: medians and \
         quartiles of {rounds} paired rounds. A ratio is of one round's figures to those of the row's first runtime. \
         Each runtime serves in a process of its own with two workers, beside the load generator, on {} processors; \
         *cores used* is the processor time of both by the time that passed.\n\n![ratios to tokio](results.svg)\n",
        std::thread::available_parallelism().map_or(0, |n| n.get()),
    );
    for row in rows {
        let _ = writeln!(out, "\n## {}\n", row.name);
        out += "| figure | runtime | median | quartiles | ratio | target |\n|---|---|---|---|---|---|\n";
        for line in row.lines() {
            let [low, median, high] = line.values.map(figure);
            let [ratio_low, ratio, ratio_high] = line.ratios.map(figure);
            let _ = writeln!(
                out,
                "| {} | {} | {median} | {low}-{high} | {ratio} ({ratio_low}-{ratio_high}) | {} |",
                line.figure.name,
                line.runtime,
                line.verdict(),
            );
        }
        for note in &row.notes {
            let _ = writeln!(out, "\n{note}");
        }
    }
    out
}
