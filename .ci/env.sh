# Sourced by every stage: strict mode, the repository's root, the toolchain, the target directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
case $target in
    /*) ;;
    *) target=$root/$target ;;
esac

# With rustup, a pinned compiler (the MSRV), installed if it is not there; without, whatever `cargo` is.
toolchain=1.95.0
if [[ -z ${RUSTUP_TOOLCHAIN:-} ]] && command -v rustup >/dev/null; then
    if ! rustup component list --toolchain "$toolchain" --installed 2>/dev/null |
        awk '/^clippy/ { c = 1 } /^rustfmt/ { f = 1 } END { exit !(c && f) }'; then
        rustup toolchain install "$toolchain" --profile minimal --component clippy --component rustfmt
    fi
    export RUSTUP_TOOLCHAIN=$toolchain
fi

# Ends the stage as skipped, which `run` does not count as a failure.
skip() {
    echo "skipped: $*"
    exit 77
}

# The manifests of the packages beside the crate (each a workspace of its own).
other_manifests() {
    git ls-files --cached --others --exclude-standard -- '*/Cargo.toml'
}
