#!/usr/bin/env bash
# One concept a file: at most 420 lines.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

limit=420
long=$(find src -name '*.rs' -exec awk -v limit="$limit" \
    'END { if (NR > limit) print FILENAME ": " NR " lines, at most " limit }' {} \;)
if [[ -n $long ]]; then
    echo "$long"
    exit 1
fi
