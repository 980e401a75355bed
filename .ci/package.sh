#!/usr/bin/env bash
# What would be published: the sources, the guide, the numbered examples and the texts of the root; small; and
# it builds from the archive alone.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

limit=$((600 * 1024)) # bytes, compressed

# Files that only this repository needs are named in warnings, one a target; other warnings fail the stage.
output=$(cargo package --locked --allow-dirty --target-dir "$target/package" 2>&1) || {
    echo "$output"
    exit 1
}
if grep '^warning' <<<"$output" | grep -vE '^warning: ignoring (test|benchmark|example) '; then
    echo 'cargo package warns'
    exit 1
fi

name=$(cargo pkgid | sed 's/.*#//; s/^taskgrove@//')
archive=$target/package/package/taskgrove-$name.crate
size=$(wc -c <"$archive")
files=$(tar -tzf "$archive" | sed 's,^[^/]*/,,')
echo "$size bytes in $(wc -l <<<"$files") files, at most $limit bytes"
((size <= limit))

bad=0
if grep -vE '^(src/.*\.rs|src/guide/links\.md|docs/guide/[A-Za-z-]+\.md|docs/comparison\.md|examples/([0-9a-z_]+\.rs|README\.md)|(README|CHANGELOG)\.md|LICENSE-(MIT|APACHE)|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)$' <<<"$files"; then
    echo 'these files do not belong into the package'
    bad=1
fi
for file in src/lib.rs docs/guide/tutorial.md docs/comparison.md README.md LICENSE-MIT LICENSE-APACHE; do
    grep -qxF "$file" <<<"$files" || { echo "the package has no $file"; bad=1; }
done
((bad == 0))
