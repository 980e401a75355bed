#!/usr/bin/env bash
# examples/tokio-crates, a package of its own: reqwest, sqlx and tonic run in the tree, and what escapes it is seen. Its
# tests kill, cancel and panic in the middle.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/tokio-crates
export CARGO_TARGET_DIR=$target/tokio-crates
cargo build --locked
timeout 120 cargo test --locked
printed=$(timeout 60 "$CARGO_TARGET_DIR/debug/tokio-crates" | tee /dev/stderr)
for line in "it is outside: reqwest's connection" "it is outside: sqlx's thread" \
    "they are outside: tonic's server, and its client" "the client's tasks are in the tree" \
    "a task that was cancelled has closed its pool" "the server has ended by itself" \
    "tokio's task lives on" "nothing is left outside of the tree" "the tree has ended without a failure"; do
    grep -qxF "$line" <<<"$printed"
done
