#!/usr/bin/env bash
# Makes docs/images/live-tree.png: the page of this service in a real browser, while it has something to do. Installs
# Chromium with apt-get if there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

image=$PWD/../../docs/images/live-tree.png
if ! command -v chromium-headless-shell >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-dejavu-core
fi
cargo build --locked
target=${CARGO_TARGET_DIR:-target}
work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT

"$target/debug/hyper-service" --listen 127.0.0.1:0 >"$work/log" 2>&1 &
children+=($!)
until grep -q '^listening on ' "$work/log"; do sleep 0.1; done
url=$(sed -n 's/^listening on //p' "$work/log")
until curl -sf "$url/readyz" >/dev/null; do sleep 0.1; done

# Three clients of HTTP/1 and two of HTTP/2, with requests that take different times; jobs that fail now and then,
# and jobs that block their thread.
for millis in 20 45 900; do
    curl -s "$url/work?ms=$millis&client=[1-10000]" >/dev/null 2>&1 &
    children+=($!)
done
# A connection for each request: the curl of Debian 12 fails when it uses one of HTTP/2 again (its pull request 10643).
for millis in 300 700; do
    while curl -s --http2-prior-knowledge "$url/work?ms=$millis"; do :; done >/dev/null 2>&1 &
    children+=($!)
done
(
    sleep 2
    curl -s "$url/work?fail=1" "$url/work?block=120"
    sleep 8
    curl -s "$url/work?fail=1"
) >/dev/null &
children+=($!)

# Chromium takes the picture when all of a page has come. The rates need some seconds of wall clock time, so the page is
# put into a frame beside an image that comes late: `/changes` answers after that time, and that it is no image does not
# matter.
cat >"$work/frame.html" <<EOF
<!doctype html><style>body { margin: 0 } iframe { border: 0; width: 100vw; height: 100vh; display: block }</style>
<iframe src="$url/"></iframe><img src="$url/changes?ms=20000" hidden>
EOF
chromium-headless-shell --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --window-size=1180,540 --screenshot="$work/page.png" "file://$work/frame.html" 2>"$work/chromium"
mkdir -p "$(dirname "$image")"
mv "$work/page.png" "$image"
ls -l "$image"
