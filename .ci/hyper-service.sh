#!/usr/bin/env bash
# The HTTP service of examples/hyper-service, a package of its own: its tests run it as a process, ask it over HTTP/1
# and 2, make its workers fail, and drain it under load.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/hyper-service
CARGO_TARGET_DIR=$target/hyper-service cargo clippy --locked --all-targets -- -D warnings
CARGO_TARGET_DIR=$target/hyper-service timeout 300 cargo test --locked
