//! What drives the scenarios here: a simulation for each seed.

use crate::common::{lag, watchdog};
use std::collections::HashSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Instant;
use taskgrove::sim::{self, Sim};

/// Seeds of each scenario, unless `TASKGROVE_SEEDS` says how many; fewer of one whose runs are long.
const SEEDS: u64 = 300;
const STEPS: u64 = 40_000;
/// One run in so many is done again: it has to go the same way.
const REPEATED: u64 = 16;

/// A part of a scenario is late by fewer suspensions than this.
const LATE: u64 = 8;

/// Runs a scenario to its end in a simulation for each seed. Those who wait for an event are late, as threads may be: most
/// scenarios go only one way else.
#[track_caller]
pub(crate) fn scenario(body: impl AsyncFn() + Send + 'static) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    quiet();
    let many = number("TASKGROVE_SEEDS");
    let seeds = match number("TASKGROVE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..many.unwrap_or(SEEDS),
    };
    let steps = many.map_or(STEPS, |_| u64::MAX);
    let check = move || over(seeds, steps, &name, &body);
    if many.is_some() {
        // As long as it takes.
        check();
    } else {
        watchdog(check);
    }
}

/// One seed of what a scenario makes at random, drawn from the simulation's: there are many of those.
pub(crate) fn draws(_count: u64) -> impl Iterator<Item = u64> {
    std::iter::once(sim::random())
}

fn over(seeds: Range<u64>, most: u64, name: &str, body: &impl AsyncFn()) {
    let begin = Instant::now();
    let (mut fingerprints, mut count, mut steps) = (HashSet::new(), 0, 0);
    for seed in seeds {
        if steps > most {
            break;
        }
        let run = run(seed, name, body);
        if seed % REPEATED == 0 {
            assert_eq!(
                run,
                self::run(seed, name, body),
                "seed {seed} went two ways"
            );
        }
        fingerprints.insert(run.0);
        count += 1;
        steps += run.1;
    }
    println!(
        "{name}: {count} seeds, {} fingerprints, {} steps each, {:.1?}",
        fingerprints.len(),
        steps / count,
        begin.elapsed(),
    );
}

/// One run: its fingerprint and its steps.
fn run(seed: u64, name: &str, body: &impl AsyncFn()) -> (u64, u64) {
    lag(|| (sim::random() % LATE) as usize);
    let sim = Sim::new(seed);
    let handle = sim.handle().clone();
    let ended = catch_unwind(AssertUnwindSafe(|| sim.block_on(body())));
    let (fingerprint, steps) = (sim.fingerprint(), sim.steps());
    assert!(
        ended.is_ok(),
        "seed {seed}, step {steps}: see above; again with TASKGROVE_SEED={seed} cargo test --test parity_sim -- --exact {name}"
    );
    drop(sim);
    let left = handle.metrics();
    assert_eq!(
        (left.live_tasks, left.timers),
        (0, 0),
        "seed {seed}: left after the end"
    );
    (fingerprint, steps)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Panics that the scenarios make are none of the reader's business.
fn quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str();
            if !text.is_some_and(|text| text.starts_with("intended")) {
                usual(info);
            }
        }));
    });
}
