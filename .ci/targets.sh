#!/usr/bin/env bash
# The library compiles for macOS and Windows, with all features; nothing is run there. By name only: it
# downloads the standard libraries of these targets.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

for triple in x86_64-apple-darwin x86_64-pc-windows-gnu; do
    rustup target add "$triple" || skip "the standard library for $triple cannot be had"
    cargo check --locked --lib --all-features --target "$triple" --target-dir "$target/targets"
done
