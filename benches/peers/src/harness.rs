//! Cases, rounds, and what is kept of them.
//!
//! A [`Row`] is one workload, measured for every executor that has it. All cases of a row are run
//! once a round, each round starting with another, so that a disturbance of the machine falls on
//! all of them alike. The first [`WARM_UP`] rounds are not kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Rounds of a row that are run and forgotten.
const WARM_UP: usize = 2;

/// What a taskgrove case of a row is to reach.
#[derive(Clone, Copy)]
pub enum Target {
    /// Nothing was set.
    None,
    /// At most this times the best case that is not taskgrove's.
    Best(f64),
    /// At most this times the case of that name.
    Of(f64, &'static str),
    /// At least this times the best case that is not taskgrove's.
    AtLeast(f64),
    /// At most this, in the row's own unit.
    Absolute(f64),
}

/// One executor's version of a workload.
pub struct Case {
    pub who: &'static str,
    pub target: Target,
    run: Box<dyn FnMut() -> f64>,
    pub samples: Vec<f64>,
}

impl Case {
    /// The middle sample, and those a quarter from either end; the smallest (for
    /// [`Target::AtLeast`], where more is better, the caller wants [`Case::best`]).
    pub fn spread(&self) -> [f64; 3] {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        [0.25, 0.5, 0.75].map(|q| quantile(&sorted, q))
    }

    pub fn median(&self) -> f64 {
        self.spread()[1]
    }

    /// The sample that was disturbed least.
    pub fn best(&self, more: bool) -> f64 {
        let pick = if more { f64::max } else { f64::min };
        self.samples
            .iter()
            .copied()
            .reduce(pick)
            .unwrap_or(f64::NAN)
    }

    pub fn is_ours(&self) -> bool {
        self.who.starts_with("taskgrove")
    }
}

/// Element at `q` (0 to 1) of a sorted slice.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

/// One workload and everybody who runs it.
pub struct Row {
    pub name: &'static str,
    /// Unit of the samples.
    pub unit: &'static str,
    pub about: &'static str,
    /// Larger is better.
    pub more: bool,
    pub rounds: usize,
    pub cases: Vec<Case>,
}

impl Row {
    pub fn new(name: &'static str, unit: &'static str, about: &'static str) -> Row {
        Row {
            name,
            unit,
            about,
            more: false,
            rounds: 101,
            cases: Vec::new(),
        }
    }

    pub fn rounds(mut self, rounds: usize) -> Row {
        self.rounds = rounds;
        self
    }

    pub fn more_is_better(mut self) -> Row {
        self.more = true;
        self
    }

    pub fn case(self, who: &'static str, run: impl FnMut() -> f64 + 'static) -> Row {
        self.ours(who, Target::None, run)
    }

    pub fn ours(
        mut self,
        who: &'static str,
        target: Target,
        run: impl FnMut() -> f64 + 'static,
    ) -> Row {
        self.cases.push(Case {
            who,
            target,
            run: Box::new(run),
            samples: Vec::new(),
        });
        self
    }

    /// Runs every case once a round.
    pub fn measure(&mut self, scale: f64) {
        let rounds = ((self.rounds as f64 * scale) as usize).max(3);
        let warm_up = if self.rounds == 1 { 0 } else { WARM_UP };
        let rounds = if self.rounds == 1 { 1 } else { rounds };
        let count = self.cases.len();
        for round in 0..rounds + warm_up {
            for i in 0..count {
                let case = &mut self.cases[(i + round) % count];
                let sample = (case.run)();
                assert!(
                    sample.is_finite() && sample >= 0.0,
                    "{} {}",
                    self.name,
                    case.who
                );
                if round >= warm_up {
                    case.samples.push(sample);
                }
            }
        }
    }

    /// The best case that is not taskgrove's, by `figure`.
    pub fn best_peer(&self, figure: impl Fn(&Case) -> f64) -> Option<&Case> {
        let peers = self
            .cases
            .iter()
            .filter(|case| !case.is_ours() && !case.who.starts_with("floor"));
        let order = |a: &&Case, b: &&Case| figure(a).total_cmp(&figure(b));
        if self.more {
            peers.max_by(order)
        } else {
            peers.min_by(order)
        }
    }

    /// `case` divided by what its target names (by default the best peer).
    pub fn ratio(&self, case: &Case, figure: impl Fn(&Case) -> f64) -> Option<f64> {
        let against = match case.target {
            Target::Of(_, who) => self.cases.iter().find(|c| c.who == who),
            _ => self.best_peer(&figure),
        }?;
        Some(figure(case) / figure(against))
    }

    /// Whether the target is reached; `None` if there is none.
    pub fn verdict(&self, case: &Case) -> Option<bool> {
        let ratio = || self.ratio(case, Case::median);
        match case.target {
            Target::None => None,
            Target::Best(most) | Target::Of(most, _) => Some(ratio()? <= most),
            Target::AtLeast(least) => Some(ratio()? >= least),
            Target::Absolute(most) => Some(case.median() <= most),
        }
    }
}

/// Nanoseconds per unit.
pub fn per(elapsed: Duration, units: usize) -> f64 {
    elapsed.as_nanos() as f64 / units as f64
}

/// Counts what happened, and tells one waiter when there was as much as it waits for.
pub struct Gate {
    count: AtomicUsize,
    target: AtomicUsize,
    waker: futures::task::AtomicWaker,
}

impl Gate {
    pub const fn new() -> Gate {
        Gate {
            count: AtomicUsize::new(0),
            target: AtomicUsize::new(usize::MAX),
            waker: futures::task::AtomicWaker::new(),
        }
    }

    pub fn reset(&self, target: usize) {
        self.count.store(0, Ordering::SeqCst);
        self.target.store(target, Ordering::SeqCst);
    }

    pub fn hit(&self) {
        if self.count.fetch_add(1, Ordering::AcqRel) + 1 == self.target.load(Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Resolves when the count has reached the target.
    pub async fn reached(&self) {
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.count() >= self.target.load(Ordering::SeqCst) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

/// Lets what was just set up settle: workers that are about to sleep, do.
pub fn settle(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// CPU time of the whole process.
pub fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}
