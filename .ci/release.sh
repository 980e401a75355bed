#!/usr/bin/env bash
# The library alone, optimised, without the features that its tests' dependencies switch on.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cargo build --locked --release
