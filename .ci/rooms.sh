#!/usr/bin/env bash
# No file uses a room above its own, and no files use each other in a circle. A failure lists the
# arrows that break the rule (tests/rooms.rs has the table).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

RUST_BACKTRACE=0 cargo test -q --test rooms
