#!/usr/bin/env bash
# The live view of examples/top, a package of its own: it builds, and three frames that are drawn into
# memory show what they have to. Then a user or a signal ends it in a pseudo-terminal, and it starts without a terminal.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/top
CARGO_TARGET_DIR=$target/top cargo build --locked
timeout 60 "$target/top/debug/top" --frames 3
CARGO_TARGET_DIR=$target/top cargo test --locked
if command -v python3 >/dev/null; then
    timeout 60 python3 terminal.py "$target/top/debug/top"
else
    echo 'no python3: the view was not driven in a pseudo-terminal'
fi
