#!/usr/bin/env bash
# The servers of benches/net answer every request right, on every runtime.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

export CARGO_TARGET_DIR=$target/net
cd benches/net
cargo run --release --locked -- --check
