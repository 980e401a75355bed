#!/usr/bin/env bash
# What plain `cargo test` leaves out because it is long, optimised: trees of a million tasks, the memory that they
# leave, the processor time of an idle runtime, more rounds of churn, and more seeds against the model.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cargo test --locked --release --test scale --test resident --test idle -- --ignored
cargo test --locked --release --test churn
LIFECYCLE_SEEDS=0..4000 cargo test --locked --release --test lifecycle
