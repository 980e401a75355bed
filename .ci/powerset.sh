#!/usr/bin/env bash
# Every combination of features builds without a warning. Some minutes, so by name only.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

version=0.6.46
if [[ $(cargo hack --version 2>/dev/null) != "cargo-hack $version" ]]; then
    cargo install --locked "cargo-hack@$version"
fi
# In a copy: the tool takes the dev-dependencies out of the manifest while it runs.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r Cargo.toml Cargo.lock README.md src docs examples benches tests "$folder"
cd "$folder"
export RUSTFLAGS="-D warnings"
export CARGO_TARGET_DIR=$target/powerset
cargo hack check --feature-powerset --no-dev-deps
