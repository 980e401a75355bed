#!/usr/bin/env bash
# Applies each breakage to a copy of the product and sees that the lifecycle harness finds it, on
# stable, within five minutes. `check.sh 03 07` takes only those.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/breakages" RUST_BACKTRACE=0
export LIFECYCLE_SEEDS=0..1000000
missed=0
for patch in "$root"/fuzz/breakages/*.patch; do
    name="$(basename "$patch" .patch)"
    if [ $# -gt 0 ] && [[ " $* " != *" ${name%%-*} "* ]]; then
        continue
    fi
    rm -rf "$copy/product"
    mkdir -p "$copy/product/fuzz"
    (cd "$root" && cp -r Cargo.toml Cargo.lock src tests "$copy/product" && cp -r fuzz/corpus "$copy/product/fuzz")
    for dir in benches examples; do
        if [ -d "$root/$dir" ]; then cp -r "$root/$dir" "$copy/product"; fi
    done
    if ! (cd "$copy/product" && patch -p1 --quiet <"$patch"); then
        echo "$name: the patch does not apply" >&2
        exit 1
    fi
    cd "$copy/product"
    cargo test --quiet --test lifecycle --no-run 2>"$copy/log" || { cat "$copy/log"; exit 1; }
    begin=$SECONDS
    status=0
    timeout 300 cargo test --quiet --test lifecycle -- --exact seeds_agree_with_the_model >"$copy/log" 2>&1 || status=$?
    if [ "$status" -eq 0 ] || [ "$status" -eq 124 ]; then
        echo "$name: NOT FOUND"
        missed=1
    else
        echo "$name: found in $((SECONDS - begin)) s"
        sed -n '/disagree/,/bytes:/p' "$copy/log" | head -30
    fi
done
exit "$missed"
