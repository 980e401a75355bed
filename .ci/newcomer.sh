#!/usr/bin/env bash
# A newcomer's first ten minutes: types the commands of docs/guide/tutorial.md into a shell as they stand
# there, in an empty folder beside a checkout, puts its programs into src/main.rs, and waits for the lines
# that the page says are printed.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

page=$root/docs/guide/tutorial.md
limit=150 # seconds for one line to be printed: only so that a failure ends

if ! command -v nc >/dev/null; then
    { command -v apt-get && ((EUID == 0)) && apt-get install -qy netcat-openbsd; } >/dev/null 2>&1 ||
        skip "nc is missing, and cannot be installed"
fi

# The page has one port, which is typed as it stands there.
if nc -z 127.0.0.1 4000; then
    skip "something else listens on port 4000, which $page uses"
fi

folder=$(mktemp -d)
log=$folder/log
touch "$log"
mkdir "$folder/steps"
ln -s "$root" "$folder/taskgrove"
# shellcheck disable=SC2046
trap 'kill -- $(jobs -p | sed s/^/-/) 2>/dev/null || true; rm -rf "$folder"' EXIT

# The page as numbered files: `N.rs` is a program, `N.cmd` a command, `N.out` a line that it prints.
awk -v to="$folder/steps" '
    function file(ending) { return sprintf("%s/%03d.%s", to, ++step, ending) }
    /^```/ {
        if (kind != "") { kind = ""; next }
        kind = $0 ~ /^```console/ ? "console" : $0 ~ /^```rust/ ? "rust" : "other"
        if (kind == "rust") program = file("rs")
        next
    }
    kind == "rust" && $0 !~ /^# / { print > program }
    kind == "console" && /^\$ / { out = file("cmd"); print substr($0, 3) > out; next }
    kind == "console" { out = file("out"); print > out }
' "$page"

programs=$(find "$folder/steps" -name '*.rs' | wc -l)
commands=$(find "$folder/steps" -name '*.cmd' | wc -l)
if ((programs < 4 || commands < 15)); then
    echo "$page has $programs programs and $commands commands only"
    exit 1
fi

cd "$folder"
export CARGO_TARGET_DIR=$target/newcomer
export RUST_BACKTRACE=0
set -m # jobs as in a shell that somebody types into: each has a process group, and heeds SIGINT
set +eu +o pipefail
seen=0
for step in steps/*; do
    case $step in
        *.rs) cp "$folder/$step" src/main.rs ;;
        *.cmd)
            command=$(cat "$folder/$step")
            echo "\$ $command"
            seen=$(wc -l <"$log") # what is printed from here on belongs to the command
            eval "$command" >>"$log" 2>&1
            ;;
        *.out)
            expected=$(cat "$folder/$step")
            end=$((SECONDS + limit))
            # In any order: a program and its client print side by side.
            until tail -n "+$((seen + 1))" "$log" | grep -qF -- "$expected"; do
                if ((SECONDS > end)); then
                    echo "not printed: $expected"
                    echo '-- printed so far:'
                    tail -n 40 "$log"
                    exit 1
                fi
                sleep 0.05
            done
            echo "$expected"
            ;;
    esac
done
echo "$programs programs, $commands commands: all is printed as $page says"
