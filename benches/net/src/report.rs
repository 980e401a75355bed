//! Samples, their medians and ratios, and the table.

use crate::RUNTIMES;
use std::fmt::Write;

/// The figures of one measurement, in the order of the row's unit.
pub type Sample = Vec<f64>;

pub struct Row {
    name: String,
    unit: &'static str,
    /// For each runtime its samples, a round each.
    samples: Vec<Vec<Sample>>,
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn figure(value: f64) -> String {
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
    pub fn new(name: String, unit: &'static str) -> Row {
        let samples = RUNTIMES.iter().map(|_| Vec::new()).collect();
        Row {
            name,
            unit,
            samples,
        }
    }

    pub fn add(&mut self, runtime: &str, sample: Sample) {
        let at = RUNTIMES.iter().position(|name| *name == runtime);
        self.samples[at.expect("a runtime of the list")].push(sample);
    }

    /// For a runtime and each figure: quartiles, and those of the ratio to the first runtime's.
    fn figures(&self, runtime: usize) -> Vec<([f64; 3], [f64; 3])> {
        let ours = &self.samples[runtime];
        (0..ours[0].len())
            .map(|n| {
                let values = ours.iter().map(|sample| sample[n]).collect();
                let rounds = ours.iter().zip(&self.samples[0]);
                let ratios = rounds.map(|(a, b)| a[n] / b[n]).collect();
                (quartiles(values), quartiles(ratios))
            })
            .collect()
    }

    fn lines(&self) -> Vec<[String; 4]> {
        let mut lines = Vec::new();
        for (at, runtime) in RUNTIMES.iter().enumerate() {
            let units = self.unit.split(" | ");
            for ((values, ratios), unit) in self.figures(at).into_iter().zip(units) {
                lines.push([
                    format!("{runtime}, {unit}"),
                    figure(values[1]),
                    format!("{}-{}", figure(values[0]), figure(values[2])),
                    format!(
                        "{} ({}-{})",
                        figure(ratios[1]),
                        figure(ratios[0]),
                        figure(ratios[2])
                    ),
                ]);
            }
        }
        lines
    }

    pub fn print(&self) {
        println!("\n{}", self.name);
        for [what, median, spread, ratio] in self.lines() {
            println!(
                "  {what:45} {median:>10} {spread:>20}   {ratio} of {}",
                RUNTIMES[0]
            );
        }
    }
}

pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "# Servers on taskgrove and its peers\n\nWritten by `cargo run --release` in `benches/net`. Each runtime \
         serves in a process of its own with two workers; the load generator is one thread beside them. Medians and \
         quartiles of paired rounds; ratios are of one round's figures to tokio's.\n",
    );
    for row in rows {
        let _ = writeln!(out, "\n## {}\n", row.name);
        out += "| | median | quartiles | of tokio's |\n|---|---|---|---|\n";
        for line in row.lines() {
            let _ = writeln!(out, "| {} |", line.join(" | "));
        }
    }
    out
}
