#!/usr/bin/env bash
# The oldest versions of the dependencies that the manifest allows: the crate builds with them, with all features
# and with none.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r Cargo.toml README.md src docs examples benches tests "$folder"
cd "$folder"
RUSTC_BOOTSTRAP=1 cargo generate-lockfile -Z direct-minimal-versions
cargo tree --depth 1 --all-features --edges normal
cargo check --locked --target-dir "$target/minimal"
cargo check --locked --target-dir "$target/minimal" --all-features
