//! Any sequence of calls, in the simulator, against the reference model; see `tests/lifecycle`.
#![no_main]

mod fixed;
#[path = "../../tests/lifecycle/harness/mod.rs"]
mod harness;
mod mutate;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::ffi::c_int;

unsafe extern "C" {
    fn atexit(f: extern "C" fn()) -> c_int;
}

/// When libFuzzer has done its time, or its runs.
extern "C" fn tell_counts() {
    eprintln!("{}", harness::table());
}

fuzz_target!(init: {
    // SAFETY: C's own; the function is one, and it reads a constant-initialised thread-local.
    unsafe { atexit(tell_counts) };
}, |bytes: &[u8]| {
    if harness::run(bytes).is_err() {
        panic!("{}", harness::report(bytes));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // Now and then bytes, with what libFuzzer has learned from comparisons.
    if seed % 8 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mutated = mutate::mutate(&data[..size], max_size, seed);
    data[..mutated.len()].copy_from_slice(&mutated);
    mutated.len()
});
