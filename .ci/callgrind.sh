#!/usr/bin/env bash
# Instructions that five hot paths take, against the committed numbers (benches/instructions.tsv).
# BLESS=1 rewrites those.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

if ! command -v valgrind >/dev/null; then
    apt-get install -y valgrind >/dev/null 2>&1 || skip "valgrind is missing, and cannot be installed"
fi
cargo bench --locked --bench instructions -- ${BLESS:+--bless}
