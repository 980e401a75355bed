#!/usr/bin/env bash
# Thread sanitizer, for the suites in which threads meet (`sim` and `lifecycle` have one thread).
# The slots are the arena's, as shipped. std comes compiled, without instrumentation: tsan.c says what
# of it the sanitizer has to be told, and tsan.supp what is left.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

triple=x86_64-unknown-linux-gnu
if [[ "$(uname -s) $(uname -m)" != "Linux x86_64" ]]; then
    skip "only on Linux, x86_64"
fi
libraries=$(rustc --print sysroot)/lib/rustlib/$triple/lib
contended=$(grep -aohE '_RN[0-9A-Za-z]+_3std3sys4sync5mutex5futex[0-9A-Za-z]+_5Mutex14lock_contended' \
    "$libraries"/libstd-*.rlib | sort -u || true)
if [[ -z $contended || $contended == *$'\n'* ]]; then
    echo "std's mutex has changed: see lock_contended in .ci/tsan.c"
    exit 1
fi
export CARGO_TARGET_DIR=$target/tsan
mkdir -p "$CARGO_TARGET_DIR"
cc -O1 -fPIC -Wall -D"__real_lock_contended=__real_$contended" \
    -D"__wrap_lock_contended=__wrap_$contended" -c .ci/tsan.c -o "$CARGO_TARGET_DIR/tsan.o"

flags=(-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer "-Clink-arg=$CARGO_TARGET_DIR/tsan.o")
for name in __tsan_atomic64_fetch_sub __tsan_atomic_thread_fence "$contended"; do
    flags+=("-Clink-arg=-Wl,--wrap=$name")
done
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="${flags[*]}"
# A backtrace is made in std, out of sight, from names that all threads share.
export RUST_BACKTRACE=0
export TSAN_OPTIONS="suppressions=$root/.ci/tsan.supp"
# Left out of `attack`: walks over 200,000 tasks and 20,000 rounds of two threads that spin, which the
# sanitizer slows down beyond the watchdog's minute.
cargo test --locked --no-fail-fast --target "$triple" --lib --test parity --test rules --test order \
    --test panics --test outlive --test reentrancy --test misuse --test attack -- \
    --skip races:: --skip a_child_is_born_while_somebody_begins_to_wait_for_its_parent
