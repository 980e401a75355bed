#!/usr/bin/env bash
# Runs each numbered example. Its `//= ` lines have to appear in its output, in this order.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cargo build --locked --all-features --examples
failed=0
for source in examples/[0-9]*.rs; do
    name=$(basename "$source" .rs)
    output=$(mktemp)
    if ! timeout 60 "$target/debug/examples/$name" >"$output" 2>&1; then
        echo "$name: did not end well"
        cat "$output"
        failed=1
    elif ! grep -h '^//= ' "$source" | sed 's,^//= ,,' | awk -v out="$output" '
        { while ((more = (getline line < out)) > 0) if (index(line, $0)) next; print "missing: " $0; exit 1 }'; then
        echo "$name: printed something else"
        cat "$output"
        failed=1
    else
        echo "$name: ok"
    fi
    rm -f "$output"
    if (($(wc -l <"$source") > 80)); then
        echo "$name: longer than 80 lines"
        failed=1
    fi
done
((failed == 0))
