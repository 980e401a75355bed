#!/usr/bin/env bash
# The documentation builds without a warning; with private items too, so that the links in the
# module docs lead somewhere.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

export RUSTDOCFLAGS="-D warnings"
cargo doc --locked --no-deps --all-features
RUSTDOCFLAGS="$RUSTDOCFLAGS -A rustdoc::private_intra_doc_links" \
    cargo doc --locked --no-deps --all-features --document-private-items
