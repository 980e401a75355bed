#!/usr/bin/env bash
# The README's command, as it stands there.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

grep -qx 'cargo test' README.md
cargo test
