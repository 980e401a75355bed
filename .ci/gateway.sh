#!/usr/bin/env bash
# The README's other command: the example serves its clients, drains, and exits 0.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! grep -qx 'cargo run --release --features net --example gateway' README.md; then
    echo 'README.md does not give the command'
    exit 1
fi
cargo run --release --features net --example gateway
