#!/usr/bin/env bash
# The loom models, in loom-tests, of the crate's own code.
# LOOM_MAX_PREEMPTIONS bounds the search where a model does not say; time does not bound it, since
# a model that is cut off would pass. `run` bounds the whole. The largest models have two
# preemptions here; all of them are to pass with three, which takes minutes more.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if [[ ! -f loom-tests/Cargo.toml ]]; then
    skip "there is no loom-tests yet"
fi
export RUSTFLAGS="--cfg taskgrove_loom"
export LOOM_MAX_PREEMPTIONS=${LOOM_MAX_PREEMPTIONS:-3}
export CARGO_TARGET_DIR=$target/loom
cd loom-tests
large=(cancel covered kill net service)
cargo test --release --no-run
# Most of the time goes to a few models, each on one core: the large ones are explored beside the others.
log=$(mktemp)
LOOM_MAX_PREEMPTIONS=2 cargo test --release --test cancel --test covered --test kill --test service >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null || true; rm -f "$log"' EXIT
for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    if [[ " ${large[*]} " != *" $name "* ]]; then
        cargo test --release --test "$name"
    fi
done
code=0
wait "$beside" || code=$?
cat "$log"
((code == 0)) || exit "$code"
LOOM_MAX_PREEMPTIONS=2 cargo test --release --features net --test net
