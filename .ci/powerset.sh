#!/usr/bin/env bash
# Every combination of features builds without a warning. Some minutes, so by name only.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

version=0.6.46
if [[ $(cargo hack --version 2>/dev/null) != "cargo-hack $version" ]]; then
    cargo install --locked "cargo-hack@$version"
fi
RUSTFLAGS="-D warnings" CARGO_TARGET_DIR=$target/powerset cargo hack check --feature-powerset --no-dev-deps
