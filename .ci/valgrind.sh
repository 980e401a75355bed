#!/usr/bin/env bash
# Valgrind's memcheck, with each slot an allocation of its own: beside what `asan` finds, reads of
# memory that was never written (the memory sanitizer would need a std compiled for it). It is many
# times slower, hence few suites; one thread runs at a time, so races are not its subject. Its race
# detectors are not run: they know locks and threads, not the order that atomics make, and all of
# this crate's own hand-overs are atomics.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ "$(uname -s)" != Linux ]]; then
    skip "only on Linux"
fi
if ! command -v valgrind >/dev/null &&
    ! { command -v apt-get >/dev/null && ((EUID == 0)) && apt-get install -qy valgrind; } >/dev/null 2>&1; then
    skip "valgrind is not there (the Debian package is 'valgrind')"
fi
export RUSTFLAGS="--cfg taskgrove_malloc"
export CARGO_TARGET_DIR=$target/valgrind
# Threads take turns, or one that spins could keep the other from ever setting what it waits for.
options="--quiet --fair-sched=yes --error-exitcode=1 --leak-check=full --num-callers=30 --max-threads=3000
    --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible
    --suppressions=$root/.ci/valgrind.supp"
triple=$(rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
export "CARGO_TARGET_${triple}_RUNNER=valgrind ${options//$'\n'/ }"
cargo test --locked --no-fail-fast --lib -- arena:: task:: tree:: timer_queue::
# Left out: random trees, which would take longer than the watchdog's minute.
cargo test --locked --no-fail-fast --test parity --test panics --test outlive --test reentrancy \
    --test misuse -- --skip order::b18_
