//! Any sequence of calls, in the simulator, against the reference model; see `tests/lifecycle`.
#![no_main]

#[path = "../../tests/lifecycle/harness/mod.rs"]
mod harness;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if harness::run(bytes).is_err() {
        panic!("{}", harness::report(bytes));
    }
});
