//! [`check`]: a body, and many seeds.

use super::Sim;
use crate::error::Panic;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The environment variable that replays one seed.
const VARIABLE: &str = "TASKGROVE_SEED";

/// Runs `body` once for each seed, each time in a new [`Sim`], until one fails.
///
/// With the environment variable `TASKGROVE_SEED` set, only that seed is run, whether it is in the
/// range or not: that replays a failure. What the body has to decide at random it can draw from
/// [`random`](super::random()).
///
/// # Panics
///
/// If a run panics (a deadlock does): the message names the seed and the step, what the panic said,
/// and the command that replays it. If `TASKGROVE_SEED` is no number.
///
/// # Examples
///
/// ```
/// use taskgrove::{sim, spawn};
/// sim::check(0..50, async || {
///     let task = spawn(std::future::pending::<()>());
///     task.cancel();
///     assert!(task.await.unwrap_err().is_cancelled());
/// });
/// ```
///
/// A failing seed is named:
///
/// ```
/// let failed = std::panic::catch_unwind(|| {
///     taskgrove::sim::check(3..9, async || panic!("always"));
/// });
/// let message = *failed.unwrap_err().downcast::<String>().unwrap();
/// assert!(message.contains("seed 3") && message.contains("always"));
/// assert!(message.contains("TASKGROVE_SEED=3"));
/// ```
#[track_caller]
pub fn check<F: AsyncFn()>(seeds: Range<u64>, body: F) {
    let replayed = std::env::var(VARIABLE).ok().map(|text| {
        let seed: Result<u64, _> = text.trim().parse();
        seed.unwrap_or_else(|_| panic!("{VARIABLE} is not the number of a seed: {text:?}"))
    });
    match replayed {
        Some(seed) => run(seed, &body),
        None => seeds.for_each(|seed| run(seed, &body)),
    }
}

#[track_caller]
fn run<F: AsyncFn()>(seed: u64, body: &F) {
    let sim = Sim::new(seed);
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| sim.block_on(body()))) else {
        return;
    };
    let failed = Panic::new(payload);
    panic!(
        "the simulation failed with seed {seed}, at step {}, after {:?} of virtual time: {}\nreplay it with: {}",
        sim.steps(),
        sim.elapsed(),
        failed.message(),
        command(seed),
    );
}

/// The command that runs the calling test with one seed.
fn command(seed: u64) -> String {
    let thread = std::thread::current();
    match thread.name() {
        // The test harness names a test's thread after the test.
        Some(test) if test != "main" => {
            format!("{VARIABLE}={seed} cargo test -- --exact {test} --nocapture")
        }
        _ => {
            let program = std::env::args().next().unwrap_or_default();
            format!("{VARIABLE}={seed} {program}")
        }
    }
}
