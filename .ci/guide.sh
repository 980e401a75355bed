#!/usr/bin/env bash
# Compiles and runs every code block of the guide, with the peers that its pages compare with.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd docs/guide
CARGO_TARGET_DIR=$target/guide cargo test --locked
