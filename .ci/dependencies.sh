#!/usr/bin/env bash
# What a user of the crate has to compile: at most 16 crates, itself included.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

limit=16
crates=$(cargo tree --locked --edges normal --prefix none | sed 's/ (.*//' | sort -u)
count=$(wc -l <<<"$crates")
echo "$crates"
echo "$count crates, at most $limit"
((count <= limit))
