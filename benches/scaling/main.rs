//! How the cost of a node grows with their number: `cargo bench --bench scaling` measures, prints,
//! and writes `table.md` and `plot.svg` beside this file. With `-- ROUNDS` as many rounds; with
//! `-- ROUNDS LARGEST` up to that many nodes (and then it only prints).
//!
//! All of it in one process, round by round, so that what disturbs one size disturbs the others.
//! Small sizes are repeated within a round; the figures are medians of all repetitions.

mod forest;
mod growth;
mod report;
mod stopwatch;

use forest::{Form, Nanos};
use std::time::Instant;
use taskgrove::Runtime;

pub(crate) const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
pub(crate) const FORMS: [Form; 4] = [Form::Wide, Form::Deep, Form::Random, Form::Services];
/// Workers, and how many nodes are looked at with that many.
const POOLS: [(usize, usize); 5] = [
    (1, 1_000_000),
    (2, 1_000_000),
    (4, 100_000),
    (8, 100_000),
    (16, 100_000),
];

/// What was measured of one form and size on so many workers.
pub(crate) struct Series {
    pub(crate) workers: usize,
    pub(crate) form: Form,
    pub(crate) size: usize,
    pub(crate) repetitions: Vec<Nanos>,
}

impl Series {
    /// The median of each operation.
    pub(crate) fn medians(&self) -> Nanos {
        std::array::from_fn(|operation| {
            let values = self.repetitions.iter().map(|nanos| nanos[operation]);
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        })
    }
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mut number = |default: usize| {
        args.next()
            .map_or(default, |arg| arg.parse().expect("a number"))
    };
    let rounds = number(5).max(1);
    let largest = number(usize::MAX);
    let began = Instant::now();
    let mut all: Vec<Series> = Vec::new();
    for (workers, most) in POOLS {
        for form in FORMS {
            for size in SIZES.into_iter().filter(|&size| size <= most.min(largest)) {
                // Contention only at the sizes where a round is long enough to see it.
                if workers <= 2 || size == most {
                    all.push(Series {
                        workers,
                        form,
                        size,
                        repetitions: Vec::new(),
                    });
                }
            }
        }
    }
    for round in 0..rounds {
        for (workers, _) in POOLS {
            let runtime = Runtime::builder().workers(workers).build();
            let runtime = runtime.expect("threads");
            for series in all.iter_mut().filter(|series| series.workers == workers) {
                let measured = forest::measure(&runtime, workers, series.form, series.size);
                series.repetitions.extend(measured);
            }
        }
        eprintln!("round {} of {rounds}: {:?}", round + 1, began.elapsed());
    }
    let table = report::table(&all, rounds) + &growth::table(rounds);
    println!("{table}");
    if largest == usize::MAX {
        let at = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scaling");
        std::fs::write(at.join("table.md"), table).expect("the table is written");
        std::fs::write(at.join("plot.svg"), report::plot(&all)).expect("the plot is written");
    }
}
