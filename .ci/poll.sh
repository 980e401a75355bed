#!/usr/bin/env bash
# The tests of the sockets where mio waits by poll(2), as it does on systems without epoll and kqueue: its queue
# is not edge-triggered there. By name only: all dependencies are built once more, since the setting is mio's.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

export RUSTFLAGS="--cfg mio_unsupported_force_poll_poll ${RUSTFLAGS:-}"
export CARGO_TARGET_DIR=$target/poll
cargo test --locked --features hyper --lib reactor::
cargo test --locked --features hyper --test net --test sockets --test hyper
