#!/usr/bin/env bash
# Every fuzz target: its corpus once, then new inputs from a fixed seed, so many that it takes about 45 s each: a
# commit passes or fails always the same way. Then `lifecycle` once more, with walks in short steps. With FUZZ_SECONDS, so many seconds each, of inputs that nobody has seen.
# Finds are left in fuzz/artifacts.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

version=0.13.2
seconds=${FUZZ_SECONDS:-}
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

# With random addresses, coverage varies a little, and what libFuzzer does next with it.
fixed=()
if setarch -R true 2>/dev/null; then
    fixed=(setarch -R)
fi

# What limits a run of this target.
limits() {
    if [[ -n $seconds ]]; then
        echo "-max_total_time=$seconds"
        return
    fi
    case $1 in
        lifecycle) echo "-seed=20 -runs=1500" ;;
        *) echo "-seed=20 -runs=30000" ;;
    esac
}

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# Runs this target; what follows are options of `cargo fuzz`.
run() {
    local name=$1 known=fuzz/corpus/$1 options
    shift
    if [[ -d $known ]]; then
        cargo +nightly fuzz run "$@" "$name" "$known" -- -runs=0
    fi
    # What is found goes to the first directory: the repository's corpus stays as it is.
    rm -rf "$new/$name"
    mkdir "$new/$name"
    read -ra options <<<"$(limits "$name") -timeout=20 -len_control=0"
    if [[ -d $known ]]; then
        # As a list: the order of a directory differs from one disk to another.
        options+=("-seed_inputs=$(printf '%s\n' "$PWD/$known"/* | LC_ALL=C sort | paste -sd,)")
    fi
    "${fixed[@]}" cargo +nightly fuzz run "$@" "$name" "$new/$name" -- "${options[@]}"
}

while read -r name; do
    run "$name"
done < <(cargo +nightly fuzz list)

export CARGO_TARGET_DIR=$target/fuzz-short RUSTFLAGS="--cfg taskgrove_short_steps"
run lifecycle -s none --no-trace-compares
