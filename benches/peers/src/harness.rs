//! Cases, rounds, and what is kept of them.
//!
//! A [`Row`] is one workload, measured for every executor that has it. All cases of a row are run
//! once a round, each round starting with another, so that a disturbance of the machine falls on
//! all of them alike. The first [`WARM_UP`] rounds are not kept.
//!
//! Each sample comes with the number of cores that the process used meanwhile: CPU seconds divided by
//! seconds. The system may keep the threads of an executor on one core for a whole run, which
//! changes every ratio. So a row of two threads goes by the samples of two cores, if there are enough.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Rounds of a row that are run and forgotten.
const WARM_UP: usize = 2;
/// A slow case runs in one round of so many.
const SELDOM: usize = 10;
/// The number of cores from which a sample counts as one of two cores.
const TWO_CORES: f64 = 1.5;
/// The least share of samples of two cores for a case to go by these.
const ENOUGH: f64 = 0.1;

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
    AtMost(f64),
}

/// One executor's version of a workload.
pub struct Case {
    pub who: &'static str,
    pub target: Target,
    /// It runs in one round of so many: for what is slow.
    every: usize,
    run: Box<dyn FnMut() -> f64>,
    samples: Vec<Sample>,
    /// Whether the workload is one for two threads.
    two_threads: bool,
}

/// What a case measured in one round.
#[derive(Clone, Copy)]
struct Sample {
    value: f64,
    /// CPU seconds of the process divided by seconds, meanwhile.
    cores: f64,
}

impl Case {
    /// The values of the samples that `counts` accepts, in order.
    fn sorted(&self, counts: impl Fn(&Sample) -> bool) -> Vec<f64> {
        let counted = self.samples.iter().filter(|sample| counts(sample));
        let mut values: Vec<f64> = counted.map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The values that the case's figures are made of: those of two cores, if the workload is for two
    /// threads and there are enough of them.
    fn counted(&self) -> Vec<f64> {
        self.sorted(|sample| !self.on_two_cores() || sample.cores >= TWO_CORES)
    }

    /// Whether the case's figures are of the samples of two cores alone.
    pub fn on_two_cores(&self) -> bool {
        self.two_threads && self.share_of_two_cores() >= ENOUGH
    }

    /// The share of samples during which the process used two cores.
    pub fn share_of_two_cores(&self) -> f64 {
        let two = self.samples.iter().filter(|one| one.cores >= TWO_CORES);
        two.count() as f64 / self.samples.len().max(1) as f64
    }

    /// The median of the number of cores.
    pub fn cores(&self) -> f64 {
        median(self.samples.iter().map(|one| one.cores))
    }

    /// The median of the samples of one core, where the others count.
    pub fn median_on_one_core(&self) -> Option<f64> {
        let one = self.sorted(|sample| sample.cores < TWO_CORES);
        (self.on_two_cores() && !one.is_empty()).then(|| quantile(&one, 0.5))
    }

    /// The middle sample, and those a quarter from either end.
    pub fn spread(&self) -> [f64; 3] {
        let sorted = self.counted();
        [0.25, 0.5, 0.75].map(|q| quantile(&sorted, q))
    }

    pub fn median(&self) -> f64 {
        self.spread()[1]
    }

    /// The sample that was disturbed least.
    pub fn best(&self, more: bool) -> f64 {
        quantile(&self.counted(), if more { 1.0 } else { 0.0 })
    }

    pub fn is_ours(&self) -> bool {
        self.who.starts_with("taskgrove")
    }

    /// What could not be used instead, but shows where the bottom is.
    pub fn is_floor(&self) -> bool {
        self.who.starts_with("floor")
    }
}

/// Element at `q` (0 to 1) of a sorted slice.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

/// The middle one of some values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

/// One workload and everybody who runs it.
pub struct Row {
    pub name: &'static str,
    /// Unit of the samples.
    pub unit: &'static str,
    pub about: String,
    /// Larger is better.
    pub more: bool,
    pub rounds: usize,
    pub cases: Vec<Case>,
}

impl Row {
    pub fn new(name: &'static str, unit: &'static str, about: impl Into<String>) -> Row {
        Row {
            name,
            unit,
            about: about.into(),
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

    /// Says that the cases so far are workloads for two threads.
    pub fn on_two_threads(mut self) -> Row {
        for case in &mut self.cases {
            case.two_threads = true;
        }
        self
    }

    pub fn case(self, who: &'static str, run: impl FnMut() -> f64 + 'static) -> Row {
        self.ours(who, Target::None, run)
    }

    /// A case so slow that it runs in one round of [`SELDOM`].
    pub fn slow(mut self, who: &'static str, run: impl FnMut() -> f64 + 'static) -> Row {
        self = self.case(who, run);
        if let Some(case) = self.cases.last_mut() {
            case.every = SELDOM;
        }
        self
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
            every: 1,
            run: Box::new(run),
            samples: Vec::new(),
            two_threads: false,
        });
        self
    }

    pub fn cases(&self) -> std::slice::Iter<'_, Case> {
        self.cases.iter()
    }

    /// Runs every case once a round, as far as it is not a slow one.
    pub fn measure(&mut self, scale: f64) {
        let (rounds, warm_up) = match self.rounds {
            1 => (1, 0),
            rounds => (((rounds as f64 * scale) as usize).max(3), WARM_UP),
        };
        let count = self.cases.len();
        for round in 0..rounds + warm_up {
            for i in 0..count {
                let case = &mut self.cases[(i + round) % count];
                let every = case.every.min((rounds / 3).max(1));
                if round % every != 0 {
                    continue;
                }
                let (cpu, began) = (cpu_time(), Instant::now());
                let value = (case.run)();
                let cpu = cpu_time() - cpu;
                let cores = cpu.as_secs_f64() / began.elapsed().as_secs_f64();
                let sound = value.is_finite() && value >= 0.0;
                assert!(sound, "{} {}", self.name, case.who);
                if round >= warm_up {
                    case.samples.push(Sample { value, cores });
                }
            }
        }
    }

    /// The best case that is neither taskgrove's nor a floor, by `figure`.
    pub fn best_peer(&self, figure: impl Fn(&Case) -> f64) -> Option<&Case> {
        let peers = self.cases.iter();
        let peers = peers.filter(|case| !case.is_ours() && !case.is_floor());
        let order = |a: &&Case, b: &&Case| figure(a).total_cmp(&figure(b));
        if self.more {
            peers.max_by(order)
        } else {
            peers.min_by(order)
        }
    }

    /// The case that `case` is to be compared with: the one its target names, or the best peer.
    pub fn rival(&self, case: &Case, figure: impl Fn(&Case) -> f64) -> Option<&Case> {
        match case.target {
            Target::Of(_, who) => self.cases.iter().find(|c| c.who == who),
            _ => self.best_peer(figure),
        }
    }

    /// `case` divided by its rival.
    pub fn ratio(&self, case: &Case, figure: impl Fn(&Case) -> f64) -> Option<f64> {
        Some(figure(case) / figure(self.rival(case, &figure)?))
    }

    /// `case` divided by the best peer.
    pub fn ratio_to_best(&self, case: &Case, figure: impl Fn(&Case) -> f64) -> Option<f64> {
        Some(figure(case) / figure(self.best_peer(&figure)?))
    }

    /// Whether the target is reached; `None` if there is none.
    pub fn verdict(&self, case: &Case) -> Option<bool> {
        let ratio = || self.ratio(case, Case::median);
        match case.target {
            Target::None => None,
            Target::Best(most) | Target::Of(most, _) => Some(ratio()? <= most),
            Target::AtLeast(least) => Some(ratio()? >= least),
            Target::AtMost(most) => Some(case.median() <= most),
        }
    }

    /// How many times better than the best peer the target wants a case to be.
    pub fn needed(&self, case: &Case) -> Option<f64> {
        match case.target {
            Target::None => None,
            Target::Best(most) | Target::Of(most, _) => Some(1.0 / most),
            Target::AtLeast(least) => Some(least),
            // What taskgrove is allowed lies left of what it has.
            Target::AtMost(most) => Some(most / case.median()),
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
