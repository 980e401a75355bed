#!/usr/bin/env bash
# No warning from the compiler or clippy: the crate, its tests, examples and benchmarks.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --all-targets --all-features -- -D warnings
# What `cargo bench` leaves out, `--all-targets` does, too.
cargo clippy --locked --bench instructions --bench scaling -- -D warnings
