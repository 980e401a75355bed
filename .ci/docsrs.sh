#!/usr/bin/env bash
# The documentation as docs.rs builds it: from the packaged files alone, with all features, each item labelled
# with the feature that it needs.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo package --locked --allow-dirty --no-verify --quiet --target-dir "$target/package" 2>/dev/null
tar -xzf "$target"/package/package/taskgrove-*.crate -C "$folder"
cd "$folder"/taskgrove-*
RUSTC_BOOTSTRAP=1 RUSTDOCFLAGS="--cfg docsrs -D warnings" \
    cargo doc --no-deps --all-features --target-dir "$target/docsrs"
grep -q 'crate feature' "$target/docsrs/doc/taskgrove/net/struct.TcpStream.html" || {
    echo 'the documentation does not say that net::TcpStream needs a feature'
    exit 1
}
