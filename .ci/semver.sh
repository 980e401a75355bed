#!/usr/bin/env bash
# No change of the public interface that the version does not allow, since the last release (a tag `v*`) or the
# revision in BASELINE. By name only: it installs a large tool.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

baseline=${BASELINE:-$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)}
if [[ -z $baseline ]]; then
    skip "there is no release yet; BASELINE=<revision> compares with one"
fi
version=0.51.0
if [[ $(cargo semver-checks --version 2>/dev/null) != "cargo-semver-checks $version" ]]; then
    cargo install --locked "cargo-semver-checks@$version"
fi
CARGO_TARGET_DIR=$target/semver cargo semver-checks --baseline-rev "$baseline" --all-features
