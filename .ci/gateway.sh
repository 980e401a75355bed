#!/usr/bin/env bash
# The README's other command: the example serves its clients, drains, and exits 0.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

grep -qx 'cargo run --release --example gateway' README.md
cargo run --release --example gateway
