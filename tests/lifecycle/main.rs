//! The rules of the public contract under any sequence of calls: seeds, and a corpus.
//!
//! `LIFECYCLE_SEEDS=from..to` runs other seeds than the 500 of `cargo test`. The stage `long` of `.ci` runs
//! 4,000, optimised. `LIFECYCLE_CORPUS=directory` takes another corpus, and `LIFECYCLE_ORDERS=n` so many orders of the
//! simulation for each file.

mod harness;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// The bytes that a seed stands for.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let length = 1 + 4 * (5 + next() as usize % 75);
    (0..length).map(|_| next() as u8).collect()
}

fn seeds() -> std::ops::Range<u64> {
    let given = std::env::var("LIFECYCLE_SEEDS").ok();
    let range = given.as_deref().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    range.unwrap_or(FIXED)
}

const FIXED: std::ops::Range<u64> = 0..500;
/// So many seeds make everything happen that can.
const MANY: usize = 4000;

#[test]
fn seeds_agree_with_the_model() {
    for seed in seeds() {
        if harness::run(&bytes(seed)).is_err() {
            panic!("seed {seed}: {}", harness::report(&bytes(seed)));
        }
    }
    if seeds().count() >= MANY {
        // It has what is seldom drawn.
        run_the_corpus();
    }
    println!("{}", harness::table());
    // What is never called, or never comes about, is not tested.
    let (count, rarest) = harness::counts()[0];
    assert!(count >= 3 || seeds().count() < MANY, "{rarest}: {count}");
}

/// Some that nobody has run before. A find is a new one, of the crate or of the model, and no fault of the
/// change that is tested: so this runs by name.
#[test]
#[ignore = "other seeds each time"]
fn fresh_seeds_agree_with_the_model() {
    let first = RandomState::new().build_hasher().finish();
    for seed in (0..500).map(|n| first.wrapping_add(n)) {
        if harness::run(&bytes(seed)).is_err() {
            panic!("seed {seed}: {}", harness::report(&bytes(seed)));
        }
    }
}

#[test]
fn the_corpus_agrees_with_the_model() {
    let count = run_the_corpus();
    assert!(count >= 20, "{count} files");
}

/// Runs each file of the corpus in several orders: what happens at one time has none. Returns how many files there are.
fn run_the_corpus() -> usize {
    let corpus = std::env::var("LIFECYCLE_CORPUS").ok();
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/lifecycle");
    let orders = std::env::var("LIFECYCLE_ORDERS").ok();
    let orders = orders.map_or(4, |orders| orders.parse().expect("a number up to 255"));
    let files = std::fs::read_dir(corpus.as_deref().unwrap_or(here)).expect("the corpus is there");
    let mut count = 0;
    for file in files {
        let file = file.expect("a file of the corpus").path();
        let mut bytes = std::fs::read(&file).expect("a file of the corpus");
        let own = bytes.first().copied();
        for order in own.into_iter().chain(0..orders) {
            if let Some(first) = bytes.first_mut() {
                *first = order;
            }
            if harness::run(&bytes).is_err() {
                let report = harness::report(&bytes);
                panic!("{}, order {order}: {report}", file.display());
            }
        }
        count += 1;
    }
    count
}

/// `LIFECYCLE_FILE=.. cargo test --test lifecycle the_steps -- --ignored --nocapture`: what a file stands for.
#[test]
#[ignore = "prints the steps of a file"]
fn the_steps_of_a_file() {
    let file = std::env::var("LIFECYCLE_FILE").expect("`LIFECYCLE_FILE` is set");
    let bytes = std::fs::read(&file).expect("the file is there");
    let mut trace = Vec::new();
    let result = harness::run_traced(&bytes, &mut trace);
    println!("{}\n{result:?}", trace.join("\n"));
}

/// As above, `the_file_made_short`: the shortest sequence that still fails as a file does.
#[test]
#[ignore = "shortens a file that fails"]
fn the_file_made_short() {
    let file = std::env::var("LIFECYCLE_FILE").expect("`LIFECYCLE_FILE` is set");
    let bytes = std::fs::read(&file).expect("the file is there");
    match harness::run(&bytes) {
        Ok(()) => println!("it agrees"),
        Err(_) => println!("{}", harness::report(&bytes)),
    }
}

/// A harness that finds nothing proves nothing: a failure is seen, and made short.
#[test]
fn what_fails_is_made_short() {
    let fails = |bytes: &[u8]| {
        let mut trace = Vec::new();
        let _ = harness::run_traced(bytes, &mut trace);
        trace.iter().any(|step| step.contains("cancel"))
            && trace.iter().any(|step| step.contains("Shield"))
    };
    let long = (0..).map(bytes).find(|bytes| fails(bytes)).expect("a seed");
    let short = harness::shrink(&long, fails);
    let mut trace = Vec::new();
    harness::run_traced(&short, &mut trace).expect("it agrees");
    // One or two roots, a shield, a cancel, and the end.
    assert!(trace.len() <= 5, "{trace:?}");
}
