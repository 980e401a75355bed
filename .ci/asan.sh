#!/usr/bin/env bash
# Address and leak sanitizer, with each slot an allocation of its own: a use after free of a task
# is one of memory. Not for the suites that count the bytes of a task or have a million of them.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

triple=x86_64-unknown-linux-gnu
if [[ "$(uname -s) $(uname -m)" != "Linux x86_64" ]]; then
    skip "only on Linux, x86_64"
fi
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address --cfg taskgrove_malloc"
export CARGO_TARGET_DIR=$target/asan
export LSAN_OPTIONS="suppressions=$root/.ci/lsan.supp"
cargo test --locked --target "$triple" --lib --test parity --test rules --test order \
    --test panics --test outlive --test reentrancy --test misuse --test churn --test attack \
    --test lifecycle --test sim -- --skip a_day_with_a_million_timers
# Sockets: what the system writes to, and registrations that are used again.
cargo test --locked --target "$triple" --features hyper --test sockets --test hyper
