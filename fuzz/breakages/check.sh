#!/usr/bin/env bash
# Applies each breakage to a copy of the product and sees that the lifecycle harness finds it, on
# stable, within five minutes; and that it finds nothing in the copy as it is. `check.sh 03 07`
# takes only those.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}/breakages"
# Always the same place, so that little is built again.
copy="$target/product"
export CARGO_TARGET_DIR="$target/build" RUST_BACKTRACE=0
# Optimised: some are seen by one of 25,000 seeds.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_TEST_OPT_LEVEL=1

# A fresh copy, with a patch or without.
copy() {
    rm -rf "$copy"
    mkdir -p "$copy/tests" "$copy/fuzz"
    cp -r "$root"/{Cargo.toml,Cargo.lock,README.md,src} "$copy"
    cp -r "$root/tests/lifecycle" "$copy/tests"
    # The harness needs nothing of this, which takes long to build.
    sed -i '/^\[dev-dependencies\]/,/^$/d; /^\[\[\(bench\|example\|test\)\]\]/,/^$/d' "$copy/Cargo.toml"
    if [[ $# -gt 0 ]] && ! patch -d "$copy" -p1 --quiet --fuzz=0 <"$1"; then
        echo "$1: does not apply" >&2
        exit 1
    fi
}

# Builds the copy's harness, and sets `harness` to it.
build() {
    local log
    log="$(cd "$copy" && cargo test --test lifecycle --no-run 2>&1)" || {
        echo "$log" >&2
        exit 1
    }
    harness="$(sed -n 's/.*Executable tests\/lifecycle\/main.rs (\(.*\))/\1/p' <<<"$log")"
    [[ $harness == /* ]] || harness="$copy/$harness"
}

# Takes these seeds, at most for five minutes. Its output is in `log`.
seeds() {
    log="$(cd "$copy" && LIFECYCLE_SEEDS="$1" timeout 300 "$harness" --exact seeds_agree_with_the_model 2>&1)"
}

copy
build
if ! seeds 0..2000; then
    echo "the harness fails without a breakage: $log" >&2
    exit 1
fi

found=0
missed=0
for patch in "$root"/fuzz/breakages/*.patch; do
    name="$(basename "$patch" .patch)"
    if [[ $# -gt 0 && " $* " != *" ${name%%-*} "* ]]; then
        continue
    fi
    copy "$patch"
    build
    begin=$SECONDS
    if seeds 0..100000000 || [[ $log != *"seed "*"the model and the runtime disagree"* ]]; then
        echo "$name: NOT FOUND in $((SECONDS - begin)) s"
        missed=$((missed + 1))
        continue
    fi
    found=$((found + 1))
    echo "$name: found in $((SECONDS - begin)) s, by $(grep -o 'seed [0-9]*' <<<"$log" | head -1); shortened:"
    sed -n '/disagree/,/bytes:/{/disagree/!p}' <<<"$log"
done
echo "$found found, $missed missed"
[[ $missed -eq 0 && $found -gt 0 ]]
