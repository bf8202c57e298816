#!/usr/bin/env bash
# Makes what a release consists of, and looks at it: the tree, a static binary, and the package to publish. It tags
# and publishes nothing.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'HELP'
usage: scripts/release.sh [--check]
  --check   only what is quick: versions, changelog and the list of what would be published; builds nothing

The binary is linked with musl, so that it runs on every Linux of this kind of machine: it wants the target
(rustup target add ARCH-unknown-linux-musl) and is left in target/release-files, with its sum.

exit: 0 all is ready, 1 something is not, 2 usage, 3 no static binary can be built here
HELP
}

check=''
case ${1:-} in
'') ;;
--check) check=1 ;;
-h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac
# shellcheck source=scripts/needs.sh
. scripts/needs.sh

version=$(sed -n '/^\[package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
wrong=0
wrong() {
    echo "NOT READY: $*"
    wrong=1
}

echo "=== version $version"
grep -Eq "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
    wrong "CHANGELOG.md has no dated section $version"
cargo metadata --locked --offline --no-deps --format-version 1 >/dev/null ||
    wrong "Cargo.lock is not that of Cargo.toml"

echo "=== what would be published"
# What is not committed is looked at, too: whether it is committed is said below.
listed=$(cargo package --list --locked --offline --allow-dirty)
for needed in Cargo.lock README.md LICENSE-MIT LICENSE-APACHE src/main.rs src/remote/scripts/guard.sh \
    src/nix/eval/look_ahead.nix events.schema.json inventory.schema.json; do
    grep -qxF "$needed" <<<"$listed" || wrong "the package lacks $needed"
done
# For who builds it, and not for who works on it.
if unwanted=$(grep -E '^(tests|scripts|docs|\.ci|\.config|\.github|nix|target)/|\.(png|svg)$' <<<"$listed"); then
    wrong "the package has what nobody needs who builds it, such as $(head -n 1 <<<"$unwanted")"
fi
# Two files of the package are made by cargo, and lie nowhere.
bytes=$(tr '\n' '\0' <<<"$listed" | { xargs -0 du -cb 2>/dev/null || true; } | tail -n 1 | cut -f 1)
[ "$bytes" -lt 8000000 ] || wrong "the package is larger than 8 MB: $bytes bytes"
echo "$(wc -l <<<"$listed") files, $bytes bytes"
[ -z "$check" ] || exit "$wrong"

echo "=== the tree"
! sed -n '/^## \[Unreleased\]/,/^## \[[0-9]/p' CHANGELOG.md | grep -q '^- ' ||
    wrong "CHANGELOG.md has unreleased changes"
[ -z "$(git status --porcelain)" ] || wrong "there are changes that are in no commit"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || wrong "the tag v$version is there already"

echo "=== cargo publish --dry-run"
cargo publish --dry-run --locked --allow-dirty || wrong "it cannot be published"

echo "=== a static binary"
target=$(uname -m)-unknown-linux-musl
if ! rustc --target "$target" --print target-libdir 2>/dev/null | xargs -r ls -d >/dev/null 2>&1; then
    [ ! -x "$(command -v rustup)" ] || rustup target add "$target" ||
        echo "rustup cannot add $target"
fi
if ! rustc --target "$target" --print target-libdir 2>/dev/null | xargs -r ls -d >/dev/null 2>&1; then
    echo "NOT BUILT: Rust has no $target here: rustup target add $target"
    [ "$wrong" = 0 ] || exit 1
    exit 3
fi
cargo build --release --locked --target "$target"
built=target/$target/release/fleetdeploy
# It names no program that would load it: that is what static means.
if readelf -l "$built" | grep -q INTERP; then wrong "$built is not static"; fi
[ "$("$built" --version)" = "fleetdeploy $version" ] || wrong "it says $("$built" --version)"
mkdir -p target/release-files
name=fleetdeploy-$version-$(uname -m)-linux
install -m 755 "$built" "target/release-files/$name"
(cd target/release-files && sha256sum "$name" | tee "$name.sha256")
[ "$wrong" = 0 ] || exit 1
echo "ready: git tag -s v$version -m 'fleetdeploy $version', then cargo publish --locked"
