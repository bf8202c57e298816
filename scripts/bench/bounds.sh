#!/usr/bin/env bash
# What a push may cost beside the same six steps by hand, and what it does: both in turn, on the same fleet, for fleets
# of each kind. Prints a row as soon as it is measured, with its bound. `scripts/bench.sh bounds`; with 64 hosts it
# needs 12 GiB and twenty minutes of a machine that does nothing else.
set -eu
code=$(dirname "$(readlink -f "$0")")
: "${runs:?}" "${binary:?}" "${cases:?}" "${largest:?}" "${details?}"
export same='' cpu='' links hosts
# A fleet of dozens needs a minute for a push.
few=$((runs < 3 ? runs : 3))
declare -A eight_processes eight_cpu

# fleet HOSTS: so many, numbered ones but for the hub.
fleet() {
    if [ "$1" = 2 ]; then echo vps,n1; else echo "vps,n1..n$(($1 - 1))"; fi
}

# measure KINDS HOSTS LINKS RUNS: what processes.sh prints, in $said. A fleet that fails is a row; others come after it.
measure() {
    hosts=$(fleet "$2") links=$3
    said=$(runs=$4 "$code/processes.sh" "$1") || {
        row "$2 hosts, $links" 'did not end well' '' no
        return 1
    }
    [ -z "$details" ] || printf '%s\n' "$said" >&2
}

# figure KIND PHASE COLUMN: seconds 2, processes 3, CPU seconds 5.
figure() {
    awk -v kind="$1:" -v phase="$2" -v column="$3" '
        $2 == "hosts," || / hosts, links: / { of = $1 }
        of == kind && $1 == phase { print $column; found = 1 }
        END { if (!found) print 0 }' <<<"$said"
}

# is EXPRESSION: of numbers, as awk reads it.
is() {
    awk "BEGIN { printf \"%.2f\", $1 }"
}

row() { # WHAT MEASURED BOUND [no]
    printf '%-62s %-40s %-18s %s\n' "$1" "$2" "$3" "${4-}"
}

# at_most WHAT VALUE BOUND WORDS BOUND_WORDS: a row, with `ok` or `no`.
at_most() {
    row "$1" "$4" "$5" "$(awk "BEGIN { print ($2 <= $3 ? \"ok\" : \"no\") }")"
}

# beyond NAME PROCESSES CPU: per host, what a push takes beyond the floor's.
beyond() {
    local push floor
    push=$(figure push all 3) floor=$(figure floor all 3)
    at_most "$1: processes a host beyond the floor" "$push - $floor" "$2" "$((push - floor)) ($push - $floor)" "$2"
    push=$(figure push all 5) floor=$(figure floor all 5)
    at_most "$1: CPU s a host beyond the floor" "$push - $floor" "$3" "$(is "$push - $floor") ($push - $floor)" "$3"
}

# beside NAME TIMES: how much longer than the floor.
beside() {
    local push floor
    push=$(figure push all 2) floor=$(figure floor all 2)
    at_most "$1: time beside the floor" "$push" "$2 * $floor" "$(is "$push / $floor") x ($push s, $floor s)" "$2 x"
}

round() {
    local links=0 processes=''
    read -r links processes <<<"$(sed -n 's/^round: \([0-9]*\) links, \([0-9]*\) processes$/\1 \2/p' <<<"$said")"
    at_most "a round of N = $links links" "$processes" "$links / 2 + 6" "$processes processes" \
        "$((links / 2 + 6)): N/2 + 6"
}

two() {
    local beyond copy
    measure both 2 none "$runs" || return 0
    copy=$(figure push copy 2)
    beyond=$(is "$(figure push all 2) - $(figure push build 2) - $(figure push survey 2) - $(figure push test 2) \
        - $(figure push switch 2)")
    at_most "2 hosts, no links: beyond build and activation" "$beyond" 2.5 \
        "$beyond s ($(is "$beyond - $copy") s without copy)" "2.5 s"
    beyond "2 hosts, no links" 120 0.4
}

slow() {
    local -x cpu=20
    measure both 2 none "$runs" || return 0
    beside "2 hosts, 0.2 of a core each, no links" 1.5
}

eight() {
    measure both 8 none "$runs" || return 0
    beyond "8 hosts, no links" 120 0.4
    of_eight none
}

mesh() {
    measure both 8 mesh "$runs" || return 0
    beside "8 hosts, mesh" 1.8
    beyond "8 hosts, mesh" 210 0.6
    round
    weight "8 hosts, mesh"
    of_eight mesh
}

# of_eight LINKS: what a push of eight takes, for that of many.
of_eight() {
    eight_processes[$1]=$(figure push all 3) eight_cpu[$1]=$(figure push all 5)
}

same() {
    local -x same=yes
    measure processes 8 mesh "$runs" || return 0
    at_most "8 hosts, mesh, no change: time" "$(figure push all 2)" 0.9 "$(figure push all 2) s" "0.9 s"
    at_most "8 hosts, mesh, no change: processes a host" "$(figure push all 3)" 80 "$(figure push all 3)" 80
}

dozens() {
    measure both 24 mesh "$few" || return 0
    beside "24 hosts, mesh" 2.2
    round
}

of_many() { # WHAT OF_MANY OF_EIGHT
    at_most "$what: $1 a host" "$2" "1.3 * $3" "$(is "$2 / $3") x ($2, of 8 hosts $3)" "1.3 x those of 8"
}

# weight NAME: of the fleetdeploy on the workstation.
weight() {
    row "$1: the workstation" "$(sed -n 's/^workstation: //p' <<<"$said")" ''
}

# What a push of many takes of each host, beside one of eight.
many() {
    local links what
    for links in none mesh; do
        measure processes "$largest" "$links" 1 || continue
        what="$largest hosts, links: $links"
        row "$what: time" "$(figure push all 2) s" ''
        weight "$what"
        [ -n "${eight_processes[$links]-}" ] || continue
        of_many processes "$(figure push all 3)" "${eight_processes[$links]}"
        of_many "CPU s" "$(figure push all 5)" "${eight_cpu[$links]}"
    done
}

row what measured bound ''
for case in ${cases//,/ }; do "$case"; done
