#!/usr/bin/env bash
# Makes docs/images/top.png: the live view in a terminal of 124 columns. tmux is the terminal, aha turns its colours into
# HTML, and Chromium draws that. Installs what is missing with apt-get.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

image=$PWD/../../docs/images/top.png
missing=()
for tool in tmux aha chromium-headless-shell; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]} > 0)); then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core
fi
cargo build --locked
target=$(realpath "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d)
tmux() { command tmux -L "taskgrove-top-$$" "$@"; }
trap 'tmux kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

tmux -f /dev/null new-session -d -x 124 -y 23 "$target/debug/top"
# Long enough for failures, restarts and a stall.
sleep 8
# aha takes the last colour for a line in reverse, also if it was set back; so everything is set back before that.
tmux capture-pane -e -p | sed 's/\x1b\[7m/\x1b[0;7m/' >"$work/screen"
{
    echo '<!doctype html><meta charset="utf-8"><style>body { margin: 0; padding: 12px 16px; background: #16191a; color: #e4e8e6 }'
    echo 'pre { margin: 0; font: 13px/17px "DejaVu Sans Mono", monospace }</style><pre>'
    aha --no-header --black <"$work/screen"
    echo '</pre>'
} >"$work/screen.html"
chromium-headless-shell --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --window-size=1010,416 --screenshot="$work/top.png" "file://$work/screen.html" 2>"$work/chromium"
mkdir -p "$(dirname "$image")"
mv "$work/top.png" "$image"
ls -l "$image"
