//! Random histories against the rules.

use super::super::super::backoff::Backoff;
use super::super::super::rules::{AutoShutdown, ChildRules, Restart, Rules, Shutdown, Strategy};
use super::super::Key;
use super::bench::{Bench, MS};

/// SplitMix64.
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % below as u64) as usize
}

/// Random rules, children and events. The bench checks that no incarnations overlap and that nothing is left at the
/// end; this checks that a stop ends, that each call is answered, and that no child that could run is forgotten.
fn history(seed: u64) {
    let mut state = seed;
    let mut pick = |n: usize| draw(&mut state, n);
    let strategy = [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ][pick(3)];
    let auto = [
        AutoShutdown::Never,
        AutoShutdown::AnySignificant,
        AutoShutdown::AllSignificant,
    ];
    let rules = Rules {
        strategy,
        max_restarts: [0, 2, 50][pick(3)],
        within: MS * 100,
        auto_shutdown: auto[pick(3)],
    };
    let names = ["a", "b", "c", "d", "e"];
    let mut children = Vec::new();
    for name in &names[..pick(6)] {
        let restart = [Restart::Permanent, Restart::Transient, Restart::Temporary][pick(3)];
        let shutdowns = [Shutdown::Wait, Shutdown::Timeout(MS * 20), Shutdown::Kill];
        let child = ChildRules {
            restart,
            backoff: [Backoff::none(), Backoff::exponential(MS, MS * 30)][pick(2)],
            shutdown: shutdowns[pick(3)],
            significant: pick(2) == 0,
            wait_ready: [None, Some(MS * 30)][pick(2)],
        };
        children.push((*name, child));
    }
    let mut bench = Bench::open(rules, &children);
    for key in 0..children.len() as Key {
        if pick(20) == 0 {
            bench.unmakable.insert(key);
        }
    }
    for _ in 0..60 {
        bench.carry_out();
        let alive: Vec<_> = bench.alive.iter().copied().collect();
        let some = alive
            .get(pick(alive.len().max(1)))
            .map(|key| bench.name(*key));
        match (pick(12), some) {
            (0..3, Some(name)) => drop(bench.fail(&name)),
            (3..5, Some(name)) => drop(bench.well(&name)),
            (5..7, Some(name)) => drop(bench.ready(&name)),
            (7, _) => {
                let call = ["start", "stop", "restart", "remove"][pick(4)];
                bench.call(call, names[pick(5)]);
            }
            _ => drop(bench.after(MS * pick(15) as u32)),
        }
        if !bench.ended && !bench.policy.is_ending() {
            // Children that wait for their start wait for something.
            let policy = &bench.policy;
            let held_up = [&policy.going, &policy.coming, &policy.backing_off];
            let goes_on = held_up.iter().any(|set| !set.is_empty());
            assert!(
                policy.waiting.is_empty() || goes_on,
                "seed {seed}: a child is forgotten"
            );
        }
    }
    bench.stop();
    // Children that are told to stop do so, or are killed and then do.
    for _ in 0..names.len() + 1 {
        if let Some(&key) = bench.policy.going.last() {
            let name = bench.name(key);
            assert!(bench.alive.contains(&key), "seed {seed}");
            bench.well(&name);
        }
    }
    assert!(bench.ended, "seed {seed}: the stop does not end");
    assert_eq!(
        bench.answered.len() as u64,
        bench.asked,
        "seed {seed}: calls without an answer"
    );
}

#[test]
fn random_histories_keep_the_rules() {
    (0..20_000).for_each(history);
}
