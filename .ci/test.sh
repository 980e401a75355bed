#!/usr/bin/env bash
# The README's command, as it stands there.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! grep -qx 'cargo test' README.md; then
    echo 'README.md does not give the command'
    exit 1
fi
cargo test
