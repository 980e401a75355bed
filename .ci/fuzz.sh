#!/usr/bin/env bash
# Every fuzz target: its corpus once, then FUZZ_SECONDS (45) of new inputs each. Finds are left in
# fuzz/artifacts.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

version=0.13.2
seconds=${FUZZ_SECONDS:-45}
if [[ ! -f fuzz/Cargo.toml ]]; then
    skip "there is no fuzz package yet"
fi
# The breakages are of the product as it is now (fuzz/breakages/check.sh sees that each is found).
for patch in fuzz/breakages/*.patch; do
    git apply --check "$patch"
done
if ! cargo +nightly --version >/dev/null 2>&1; then
    skip "no nightly compiler"
fi
tools=$target/tools
export PATH=$tools/bin:$PATH
if [[ "$(cargo fuzz --version 2>/dev/null)" != "cargo-fuzz $version" ]] &&
    ! cargo install cargo-fuzz --version "$version" --locked --root "$tools"; then
    skip "cargo-fuzz $version cannot be installed"
fi
export CARGO_TARGET_DIR=$target/fuzz

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
while read -r name; do
    known=fuzz/corpus/$name
    if [[ -d $known ]]; then
        cargo +nightly fuzz run "$name" "$known" -- -runs=0
    fi
    # What is found goes to the first directory: the repository's corpus stays as it is.
    mkdir "$new/$name"
    inputs=("$new/$name")
    if [[ -d $known ]]; then
        inputs+=("$known")
    fi
    cargo +nightly fuzz run "$name" "${inputs[@]}" -- -max_total_time="$seconds" -timeout=20 -len_control=0
done < <(cargo +nightly fuzz list)
