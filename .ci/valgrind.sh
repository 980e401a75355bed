#!/usr/bin/env bash
# Valgrind's memcheck, with each slot an allocation of its own: reads of memory that was never written,
# which no sanitizer of rustc's stable set sees without an instrumented std, beside what `asan` finds.
# It is some fifty times slower, hence few suites; one thread runs at a time, so races are not its
# subject. Its race detectors are not run: they know locks and threads, not the order that atomics
# make, and all of this crate's own hand-overs are atomics.
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
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --fair-sched=yes --error-exitcode=1
    --leak-check=full --show-leak-kinds=definite,indirect,possible
    --errors-for-leak-kinds=definite,indirect,possible --num-callers=30
    --suppressions=$root/.ci/valgrind.supp"
cargo test --locked --lib -- arena:: task:: tree:: queue:: timer::
cargo test --locked --test parity --test panics --test outlive --test reentrancy --test misuse
