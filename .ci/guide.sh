#!/usr/bin/env bash
# Compiles and runs every code block of the guide, with the peers that its pages compare with. Each page is
# shown in the crate's documentation, from which the examples are taken, and each of its links leads somewhere.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

bad=0
for page in docs/guide/*.md docs/comparison.md; do
    file=${page#docs/}
    if [[ $file != guide/README.md ]]; then
        grep -q "\"$file\"" src/guide.rs || { echo "src/guide.rs does not show $page"; bad=1; }
    fi
    # The documentation gives the links of definitions other targets, and those of the text none.
    if grep -nE '\]\([^)]*\.md' "$page"; then
        echo "$page: a link to a page is written [text][page], with a definition at the end"
        bad=1
    fi
    while read -r link; do
        [[ -e $(dirname "$page")/$link ]] || { echo "$page: no such file: $link"; bad=1; }
    done < <(sed -nE 's/^\[[^]]+\]: ([^#: ]+)(#.*)?$/\1/p' "$page")
done
((bad == 0))

cd docs/guide-tests
CARGO_TARGET_DIR=$target/guide cargo test --locked
