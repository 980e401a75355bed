#!/usr/bin/env bash
# The oldest compiler that the manifest promises: it is the one that all stages use, and builds everything.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

promised=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if [[ $toolchain != "$promised".* ]]; then
    echo "Cargo.toml promises Rust $promised, and .ci/env.sh uses $toolchain"
    exit 1
fi
if ! grep -qF "Rust $promised or later" README.md; then
    echo "README.md does not say 'Rust $promised or later'"
    exit 1
fi
rustc --version | grep -F "rustc $toolchain " || skip "this is not Rust $toolchain"
cargo check --locked --target-dir "$target/msrv"
cargo check --locked --target-dir "$target/msrv" --all-features --all-targets
