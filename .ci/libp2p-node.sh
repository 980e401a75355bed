#!/usr/bin/env bash
# The network of examples/libp2p-node, a package of its own: it builds without tokio; its tests have peers that vanish,
# crowd or talk nonsense; of five nodes in a process one is killed and comes back; and processes that are killed and
# replaced hear of each other.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/libp2p-node
export CARGO_TARGET_DIR=$target/libp2p-node
cargo build --locked
timeout 120 cargo test --locked
node=$CARGO_TARGET_DIR/debug/libp2p-node
if cargo tree --locked --edges normal --prefix none | grep '^tokio '; then
    echo "the example depends on tokio"
    exit 1
fi

out=$(mktemp -d)
pids=()
trap 'kill -KILL "${pids[@]}" 2>/dev/null || true; rm -rf "$out"' EXIT

# Prints the first line of a file that has this text, as soon as there is one.
wait_for() {
    for _ in {1..300}; do
        if grep -m 1 -F -- "$2" "$out/$1"; then
            return
        fi
        sleep 0.1
    done
    echo "$1 did not print within 30 s: $2" >&2
    cat "$out/$1" >&2
    return 1
}

# Runs a node as a process of its own.
run() {
    "$node" --name "$1" --listen 127.0.0.1:0 "${@:2}" >"$out/$1" &
    pids+=($!)
}

# Each of its steps has a limit of its own, in which it takes a small part.
"$node" | tee "$out/demo"
for line in "all nodes ping, and hear each other" "the others go on to hear each other" \
    "cyd is back in the mesh, and hears all others" "only cyd was restarted" "stopped: true"; do
    grep -qxF "$line" "$out/demo"
done

run left
line=$(wait_for left ' listens on ')
address=${line##* }
run middle --dial "$address"
run right --dial "$address"
# The two that dialled the first one find each other, by more than its gossip.
wait_for middle 'heard name=right'
wait_for right 'heard name=middle'
line=$(wait_for middle ' listens on ')
middle=${line##*/p2p/}
wait_for right " is connected to $middle"
kill -KILL "${pids[1]}"
wait_for right " has lost $middle"
run again --dial "$address"
wait_for right 'heard name=again'
# A node goes on when nobody reads its output.
"$node" --name unheard --listen 127.0.0.1:0 --dial "$address" > >(:) &
pids+=($!)
wait_for right 'heard name=unheard'
for n in 0 2 3 4; do
    kill -TERM "${pids[n]}"
    wait "${pids[n]}"
done
