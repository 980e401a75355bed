//! Cliffs: everyday workloads beside tokio and async-executor, in time and in CPU time. A row above
//! [`LIMIT`] of the better of the two is flagged, unless its cause is known and stands here.

mod beside;
mod locks;
mod messages;
mod tasks;
mod whole;

use crate::harness::{cpu_time, median, per};
use crate::raw::Raw;
use std::time::{Duration, Instant};

/// The most that a row may take of what the better peer takes.
const LIMIT: f64 = 1.3;
/// Rounds that count; one more comes first.
const ROUNDS: usize = 11;

/// What a workload took: nanoseconds a unit, and nanoseconds of CPU time a unit.
#[derive(Clone, Copy)]
pub struct Took {
    wall: f64,
    cpu: f64,
}

/// Times a section of code.
pub struct Watch {
    began: Instant,
    cpu: Duration,
}

impl Watch {
    pub fn start() -> Watch {
        Watch {
            cpu: cpu_time(),
            began: Instant::now(),
        }
    }

    pub fn took(&self, units: usize) -> Took {
        Took {
            wall: per(self.began.elapsed(), units),
            cpu: per(cpu_time() - self.cpu, units),
        }
    }
}

/// Runs a workload as a task of `R`, and times it.
fn drive<R: Raw, F>(units: usize, work: F) -> Took
where
    F: Future<Output = ()> + Send + 'static,
{
    R::drive(async move {
        let watch = Watch::start();
        work.await;
        watch.took(units)
    })
}

async fn join_all<R: Raw>(tasks: Vec<R::Join<()>>) {
    for task in tasks {
        task.await;
    }
}

/// Spawns `count` tasks and waits for all.
async fn all<R: Raw, F: Future<Output = ()> + Send + 'static>(
    count: usize,
    task: impl Fn(usize) -> F,
) {
    join_all::<R>((0..count).map(|i| R::spawn(task(i))).collect()).await;
}

type Work = fn() -> Took;

/// One workload and who runs it.
struct Cliff {
    name: &'static str,
    about: &'static str,
    cases: Vec<(&'static str, Work, Vec<Took>)>,
    /// Whether CPU time says something: it does not beside tasks that never leave a core idle.
    has_cpu: bool,
    /// Why the row may be above the limit.
    explained: Option<&'static str>,
}

impl Cliff {
    fn new(name: &'static str, about: &'static str, cases: &[(&'static str, Work)]) -> Cliff {
        Cliff {
            name,
            about,
            cases: cases
                .iter()
                .map(|&(who, work)| (who, work, Vec::new()))
                .collect(),
            has_cpu: true,
            explained: None,
        }
    }

    /// For a workload beside tasks that keep all cores busy.
    fn without_cpu(mut self) -> Cliff {
        self.has_cpu = false;
        self
    }

    /// Says why the row may be above the limit.
    fn because(mut self, why: &'static str) -> Cliff {
        self.explained = Some(why);
        self
    }

    fn measure(&mut self, rounds: usize) {
        let count = self.cases.len();
        for round in 0..=rounds {
            for at in 0..count {
                let (_, work, samples) = &mut self.cases[(at + round) % count];
                let took = work();
                if round > 0 {
                    samples.push(took);
                }
            }
        }
    }

    fn median(&self, case: usize, of: fn(&Took) -> f64) -> f64 {
        median(self.cases[case].2.iter().map(of))
    }

    /// taskgrove's median, divided by that of the better peer; `None` without peers.
    fn ratio(&self, of: fn(&Took) -> f64) -> Option<f64> {
        let peers = (1..self.cases.len()).map(|case| self.median(case, of));
        let best = peers.min_by(f64::total_cmp)?;
        Some(self.median(0, of) / best)
    }

    /// Prints the row. Returns whether it is above the limit and unexplained.
    fn report(&self) -> bool {
        let (wall, cpu) = (self.ratio(|t| t.wall), self.ratio(|t| t.cpu));
        let cpu = cpu.filter(|_| self.has_cpu);
        let is_above = [wall, cpu].into_iter().flatten().any(|ratio| ratio > LIMIT);
        let text = |ratio: Option<f64>| ratio.map_or(String::new(), |r| format!("{r:.2}"));
        let mark = match self.explained {
            _ if !is_above => "",
            Some(_) => "above, explained",
            None => "ABOVE",
        };
        print!(
            "{:22} {:>5} {:>5} {mark:17}",
            self.name,
            text(wall),
            text(cpu)
        );
        for (at, (who, ..)) in self.cases.iter().enumerate() {
            let (wall, cpu) = (self.median(at, |t| t.wall), self.median(at, |t| t.cpu));
            print!(" {who} {wall:.0}");
            if self.has_cpu {
                print!("/{cpu:.0}");
            }
        }
        println!();
        if let Some(why) = self.explained.filter(|_| is_above) {
            println!("    {why}");
        }
        is_above && self.explained.is_none()
    }
}

/// A workload that is written once for all three, named after its function.
macro_rules! cliff {
    ($work:ident, $about:literal) => {
        $crate::cliffs::Cliff::new(
            stringify!($work),
            $about,
            &[
                ("taskgrove", || {
                    $work(std::marker::PhantomData::<GroveRoots>)
                }),
                ("tokio", || $work(std::marker::PhantomData::<Tokio>)),
                ("async-executor", || {
                    $work(std::marker::PhantomData::<AsyncExecutor>)
                }),
            ],
        )
    };
}
use cliff;

/// Whose version of a workload it is.
type By<R> = std::marker::PhantomData<R>;

/// Runs the workloads whose names contain one of the words, or all. Returns whether none is above the
/// limit without a cause.
pub fn run(scale: f64, words: &[String]) -> bool {
    let rounds = ((ROUNDS as f64 * scale) as usize).max(1);
    println!(
        "workload                time   CPU                   ns a unit, wall / CPU ({rounds} rounds)"
    );
    let mut above = Vec::new();
    let rows = [
        beside::rows(),
        messages::rows(),
        locks::rows(),
        tasks::rows(),
        whole::rows(),
    ];
    for mut row in rows.into_iter().flatten() {
        let wanted = words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
        if wanted {
            row.measure(rounds);
            if row.report() {
                above.push(format!("{} ({})", row.name, row.about));
            }
        }
    }
    println!(
        "\nabove {LIMIT} of the better of tokio and async-executor, unexplained: {}",
        above.len()
    );
    above.iter().for_each(|row| println!("  {row}"));
    above.is_empty()
}
