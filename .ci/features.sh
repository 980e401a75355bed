#!/usr/bin/env bash
# The test targets that need a feature: plain `cargo test` leaves them out. All of those that the
# manifest gives `required-features`, with all features, and the examples in the documentation of what
# only these features have.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Prints `name` of each [[test]] block with `required-features`.
targets() {
    awk '
        function out() { if (test && needs && name != "") print name }
        /^\[/ { out(); test = ($0 == "[[test]]"); needs = 0; name = "" }
        /^name *=/ { split($0, part, "\""); name = part[2] }
        /^required-features *=/ { needs = 1 }
        END { out() }' Cargo.toml
}

names=$(targets)
if [[ -z $names ]]; then
    echo 'Cargo.toml has no test target with required-features'
    exit 1
fi
arguments=()
while read -r name; do
    arguments+=(--test "$name")
done <<<"$names"
# A test runs an example as a process.
cargo build --locked --all-features --examples
cargo test --locked --all-features --lib "${arguments[@]}"
cargo test --locked --all-features --doc
