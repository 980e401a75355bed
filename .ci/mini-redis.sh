#!/usr/bin/env bash
# examples/mini-redis, a package of its own: its tests, and its programs as somebody would use them.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

cd examples/mini-redis
export CARGO_TARGET_DIR=$target/mini-redis
cargo build --locked
cargo test --locked

log=$(mktemp)
bin=$CARGO_TARGET_DIR/debug
"$bin/mini-redis-server" 127.0.0.1:0 >"$log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$log"' EXIT
until address=$(sed -n 's/^listening on //p' "$log") && [[ -n $address ]]; do
    kill -0 "$server" # it has ended: so does the stage
    sleep 0.05
done
cli() { timeout 10 "$bin/mini-redis-cli" "$address" "$@"; }
[[ $(cli ping) == PONG ]]
[[ $(cli get a) == '(nil)' ]]
[[ $(cli set a 'some text' px 60000) == OK ]]
[[ $(cli get a) == 'some text' ]]
[[ $(cli publish news x) == 0 ]]
kill -TERM "$server"
wait "$server" # exit code 0: the drain was clean
# And with an output that nobody reads any more.
"$bin/mini-redis-server" "$address" > >(:) 2> >(:) &
server=$!
until [[ $(cli ping 2>/dev/null) == PONG ]]; do
    kill -0 "$server"
    sleep 0.05
done
timeout 10 bash -c 'exec 3<>"/dev/tcp/${0%:*}/${0##*:}"; printf "nonsense\r\n" >&3; cat <&3 >/dev/null' "$address"
[[ $(cli ping) == PONG ]]
kill -TERM "$server"
wait "$server"
echo 'mini-redis answers, and drains'
