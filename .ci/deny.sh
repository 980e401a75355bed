#!/usr/bin/env bash
# The dependencies: their licences and their sources are allowed, none is there twice, and none has a known
# vulnerability (if the database of advisories can be fetched). deny.toml says what is allowed. By name only:
# it installs a large tool.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

version=0.20.2
if [[ $(cargo deny --version 2>/dev/null) != "cargo-deny $version" ]]; then
    cargo install --locked "cargo-deny@$version"
fi
cargo deny --all-features --locked check bans licenses sources
if cargo deny --all-features --locked fetch db; then
    cargo deny --all-features --locked --offline check advisories
else
    echo 'not checked: the database of advisories cannot be fetched'
fi
