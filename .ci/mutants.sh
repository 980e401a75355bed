#!/usr/bin/env bash
# Mutation testing of the core: hours, so not a stage of `run`. What is not caught is explained in
# tests/MUTANTS.md. Arguments go on to `cargo mutants`: `--shard 0/4`, `--iterate`, `--jobs 2`,
# `-F <part of a mutant's name>`. The results are in mutants.out.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

mutants=27.1.0
nextest=0.9.143
if [[ $(cargo mutants --version 2>/dev/null) != "cargo-mutants $mutants" ]]; then
    cargo install --locked "cargo-mutants@$mutants"
fi
if ! cargo nextest --version >/dev/null 2>&1; then
    cargo install --locked "cargo-nextest@$nextest"
fi

files=()
for file in src/{arena,protect,schedule,service,task,timer_queue,tree}{,/'**/*'}.rs; do
    files+=(--file "$file")
done
suites=(--lib)
for suite in rules parity lifecycle order sim panics misuse reentrancy outlive attack churn fairness memory; do
    suites+=(--test "$suite")
done

# A hung test is ended by nextest after six seconds; the timeout here is for what nextest cannot end.
exec cargo mutants --timeout 120 --build-timeout 300 --profile mutants \
    --test-tool nextest "${files[@]}" "$@" -- \
    "${suites[@]}" --config-file .ci/nextest.toml --profile mutants
