#!/usr/bin/env bash
# The suites whose subject is races, again and again, in both profiles: what fails one time in
# thirty fails here. REPETITIONS sets how often.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

repetitions=${REPETITIONS:-30}
suites=(parity rules order panics)

for profile in dev release; do
    messages=$(cargo test --locked --profile "${profile/dev/test}" --no-run --message-format json \
        "${suites[@]/#/--test=}")
    mapfile -t programs < <(grep -o '"executable":"[^"]*"' <<<"$messages" | cut -d'"' -f4)
    if ((${#programs[@]} != ${#suites[@]})); then
        echo "${#programs[@]} test programs, expected ${#suites[@]}"
        exit 1
    fi
    for program in "${programs[@]}"; do
        began=$SECONDS
        for ((i = 1; i <= repetitions; i++)); do
            if ! output=$("$program" --quiet 2>&1); then
                echo "$output"
                echo "$profile: $(basename "$program") failed in repetition $i"
                exit 1
            fi
        done
        echo "$profile: $(basename "$program"), $repetitions times, $((SECONDS - began)) s"
    done
done
