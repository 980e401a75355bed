#!/usr/bin/env bash
# The documentation builds without a warning; with private items too, so that the links in the
# module docs lead somewhere.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

export RUSTDOCFLAGS="-D warnings"
cargo doc --locked --no-deps --all-features
# The pages of the guide link to each other as files; `src/guide/links.md` turns these links into paths.
if grep -rnoE 'href="[^":]*\.md[^"]*"' "$target/doc/taskgrove/guide"; then
    echo 'a link of the guide leads to a file: it is missing in src/guide/links.md'
    exit 1
fi
RUSTDOCFLAGS="$RUSTDOCFLAGS -A rustdoc::private_intra_doc_links" \
    cargo doc --locked --no-deps --all-features --document-private-items
