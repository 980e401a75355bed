#!/usr/bin/env bash
# What a user of the crate links: at most 16 crates, itself included; and what it takes to build
# those (the macros of thiserror bring five more): no more than today.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

count() {
    cargo tree --locked --edges "$1" --prefix none | sed 's/ (.*//' | sort -u | tee /dev/stderr | wc -l
}

linked=$(count normal,no-proc-macro)
built=$(count normal)
echo "$linked crates linked, at most 16; $built built, at most 18"
((linked <= 16 && built <= 18))
