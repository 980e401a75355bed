#!/usr/bin/env bash
# rustfmt has nothing to change, in the crate and in the packages beside it.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cargo fmt --check
while read -r manifest; do
    cargo fmt --check --manifest-path "$manifest"
done < <(other_manifests)
