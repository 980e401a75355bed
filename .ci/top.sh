#!/usr/bin/env bash
# The live view of examples/top, a package of its own: it builds, and three frames that are drawn into
# memory show what they have to.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/top
CARGO_TARGET_DIR=$target/top cargo build --locked
timeout 60 "$target/top/debug/top" --frames 3
