#!/usr/bin/env bash
# How long `inventory check` takes for files with many mistakes, one a host, and for deep nesting, how long a TAB in a
# shell waits with such files, and how long `inventory graph` takes for hosts that all look at each other: the time
# grows with the file, not with its square (tests/inventory.rs and src/ui/graph hold that).
# `scripts/bench.sh inventory`.
set -eu
: "${binary:?}"
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

# timed NAME WORDS...: how long the command takes, whatever its end.
timed() {
    local name=$1 began ended
    shift
    began=$(date +%s%N)
    "$@" >/dev/null 2>&1 || true
    ended=$(date +%s%N)
    echo "$name: $(((ended - began) / 1000000)) ms"
}

measure() { # NAME, the inventory on stdin
    cat >"$folder/inventory.yaml"
    timed "$1" "$binary" inventory check --json -i "$folder/inventory.yaml"
}

# complete NAME LINE, the inventory on stdin: what bash asks when TAB is pressed behind the line.
complete() {
    cat >"$folder/inventory.yaml"
    timed "$1" env -C "$folder" FLEETDEPLOY_COMPLETE=bash "$binary" -- "${2##* }" "$2"
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
for hosts in 500 1000 2000 5000; do
    with "$hosts" 'user: root' | complete "$hosts hosts, TAB behind \`--on host\`" 'fleetdeploy push lab --on host'
    with "$hosts" 'usr: root' | complete "$hosts hosts with mistakes, TAB behind \`push\`" 'fleetdeploy push '
done
for hosts in 100 200 500 1000 2000; do
    awk -v hosts="$hosts" 'BEGIN {
        print "hosts:"
        for (number = 0; number < hosts; number++)
            printf "  host%05d: {vpn: 10.1.%d.%d}\n", number, number / 250, number % 250 + 1
        print "fleets: {lab: {flake: ., hosts: all, checks: [{vpn: mesh}, {ping: all, from: all}]}}"
    }' >"$folder/inventory.yaml"
    for format in text dot mermaid; do
        timed "$hosts hosts in a mesh, graph as $format" \
            "$binary" inventory graph --format "$format" -i "$folder/inventory.yaml"
    done
done
for ranges in 4 128; do
    awk -v ranges="$ranges" 'BEGIN {
        printf "w[0:19999]"
        for (number = 0; number < ranges; number++) printf "[1:1]"
        print ""
    }' >"$folder/hosts.ini"
    timed "a line of 20,000 Ansible hosts and $ranges more ranges" \
        "$binary" inventory import --from ansible "$folder/hosts.ini"
done
