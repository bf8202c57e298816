#!/usr/bin/env bash
# Measures how long `inventory check` takes for files with many mistakes, one a host, and for deep nesting: the time
# grows with the file, not with its square. Prints figures; asserts nothing (tests/inventory.rs does).
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

usage() {
    cat <<'HELP'
usage: scripts/bench-inventory.sh [BINARY]
  BINARY   the fleetdeploy to measure (default target/release/fleetdeploy)

Build first: cargo build --release --locked
HELP
}

case ${1:-} in -h | --help) usage && exit ;; esac
binary=${1:-target/release/fleetdeploy}
[ -x "$binary" ] || { echo "no $binary: cargo build --release --locked" >&2 && exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# with HOSTS WHAT: an inventory of so many hosts, and WHAT in each (a `%05d` in it is the host's number).
with() {
    awk -v hosts="$1" -v what="$2" 'BEGIN {
        print "hosts:"
        for (number = 0; number < hosts; number++) printf "  host%05d: {" what "}\n", number, number
        print "fleets: {lab: {flake: ., hosts: all, checks: []}}"
    }'
}

measure() { # NAME, the inventory on stdin
    cat >"$folder/inventory.yaml"
    local began ended
    began=$(date +%s%N)
    "$binary" inventory check --json -i "$folder/inventory.yaml" >/dev/null 2>&1 || true
    ended=$(date +%s%N)
    echo "$1: $(((ended - began) / 1000000)) ms"
}

for hosts in 500 1000 2000 5000; do
    with "$hosts" 'user: root' | measure "$hosts hosts, no mistake"
    with "$hosts" 'usr: root' | measure "$hosts hosts, an unknown key each"
    with "$hosts" 'jump: gate%05d' | measure "$hosts hosts, a jump over no host each"
done
for nested in '[' '{a: ' '- '; do
    awk -v nested="$nested" 'BEGIN {
        printf "hosts: "
        if (nested == "- ") printf "\n  "
        for (written = 0; written < 100000; written += length(nested)) printf "%s", nested
    }' | measure "100 KB of \`$nested\`"
done
