#!/usr/bin/env bash
# The suites whose subject is races, again and again, in both profiles. REPETITIONS (6) sets how
# often unoptimised; optimised it is twice that.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

repetitions=${REPETITIONS:-6}
suites=(parity rules order panics attack)

for profile in test release; do
    if [[ $profile == release ]]; then
        repetitions=$((2 * repetitions))
    fi
    messages=$(cargo test --locked --profile "$profile" --no-run --message-format json \
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
