#!/usr/bin/env bash
# Unsafe code only in its rooms; outside `src`, only in allocators that count. (The loom models and
# the fuzz targets are no part of what anybody builds; the servers of benches/net fill buffers that
# hyper has not initialised.)
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

bad=0
while read -r file; do
    case $file in
        src/arena.rs | src/arena/* | src/schedule/queue.rs | src/schedule/queue/*) continue ;;
        loom-tests/* | fuzz/* | benches/net/*) continue ;;
        src/task/raw.rs | src/task/raw/* | src/task/current.rs | src/schedule/cores.rs | src/hyper/buffer.rs) continue ;;
    esac
    # Comments may say the word; `unsafe_code` and the like are other words.
    lines=$(sed 's://.*::' "$file" | grep -nE '\bunsafe\b|allow\(unsafe_code\)' || true)
    if [[ -z $lines ]]; then
        continue
    fi
    if [[ $file != src/* ]] && grep -q 'impl GlobalAlloc for' "$file"; then
        continue
    fi
    while read -r line; do
        echo "$file:$line"
    done <<<"$lines"
    bad=1
done < <(git ls-files --cached --others --exclude-standard -- '*.rs')
((bad == 0))
