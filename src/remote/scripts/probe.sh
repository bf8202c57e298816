# shellcheck shell=sh
# probe LIFE (probe ID KIND TIMEOUT_MS COUNT ARG…)…: asks all the probes of this host, side by side, round after round.
#
# Reads `round N` from its input; answers each with one line `probe N ID up|down MICROSECONDS|- DETAIL` per probe, what
# the host says of itself (`host N KEY VALUE`, `wg_interface …`, `wg_peer …`), and `done N`. Ends, with `end`, at the
# end of its input, at `stop`, or after LIFE seconds. Changes nothing, leaves no process and no file.
# KIND ARG…: ping ADDRESS | ssh ADDRESS PORT | tcp ADDRESS PORT | http URL STATUS [TEXT] | dns NAME SERVER |
# wireguard ADDRESS SECONDS | argv WORD… | shell TEXT; `-` is any STATUS of success, the host's own resolver; without TEXT the body may be any.
# Needs lib.sh, wireguard.sh and probes.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_number "$1"
    life=$1
    shift
    work=$(mktemp -d "$root/run/fleetdeploy-probe.XXXXXX") || work=$(mktemp -d) || exit 1
    trap 'clean_up' EXIT
    trap 'exit 0' HUP INT PIPE
    trap finish TERM
    end_after "$life" &
    watchdog=$!
    while read -r word number _; do
        case $word in
        round)
            is_number "$number" || continue
            choose_connections "$@"
            run_round "$number" "$@"
            ;;
        stop) break ;;
        esac
    done
    finish
}

clean_up() {
    trap '' HUP INT TERM PIPE
    kill "$watchdog" 2>/dev/null
    for clean_group in "$work"/group.*; do
        [ ! -e "$clean_group" ] || kill -s KILL -- "-${clean_group##*.}" 2>/dev/null
    done
    wait
    rm -rf "$work"
}

# end_after SECONDS: ends this script; not whoever has its number once it is gone.
end_after() {
    trap 'kill "$end_nap" 2>/dev/null; exit 0' TERM
    trap - EXIT
    sleep "$1" >/dev/null 2>&1 &
    end_nap=$!
    wait "$end_nap"
    read -r _ _ _ end_parent _ </proc/self/stat
    [ "$end_parent" != "$$" ] || kill -TERM "$$"
}

# each_probe FUNCTION ARG…: calls it for each probe with ID KIND TIMEOUT_MS COUNT and the rest, of which COUNT are its own.
each_probe() {
    each_function=$1
    shift
    while [ $# -ge 5 ] && [ "$1" = probe ]; do
        shift
        "$each_function" "$@"
        shift "$((4 + $4))"
    done
}

# run_round NUMBER ARG…
run_round() {
    round=$1
    shift
    print_host &
    round_children=$!
    each_probe start_probe "$@"
    # shellcheck disable=SC2086 # numbers; a bare `wait` would wait for the watchdog too
    wait $round_children
    printf 'done %s\n' "$round"
}

start_probe() {
    ask_probe "$@" &
    round_children="$round_children $!"
}

# What verify compares with the baseline, taken in the same round as the links.
print_host() {
    trap - EXIT
    read_boot_id
    resolve /run/current-system
    read_units
    {
        put boot_id "$boot_id"
        put current "$resolved"
        put_units
        read_uptime
        put uptime "$uptime"
    } | sed "s/^/host $round /"
    print_wireguard wg
}

# An sshd punishes addresses that connect and leave, and behind a jump that address is everybody's: at most one
# connection in two seconds to one address and port, all probes together, and none for ten seconds after a refusal.
# The first probe of a round to an address that may be asked makes the connection; the others use its answer.
choose_connections() {
    read_moment
    rm -f "$work"/chosen.*
    each_probe choose_connection "$@"
}

choose_connection() {
    case $2 in ssh | tcp) ;; *) return 0 ;; esac
    choose_key=$(connection_key "$2" "$5" "$6")
    [ ! -e "$work/chosen.$choose_key" ] || return 0
    choose_next=0
    [ ! -r "$work/next.$choose_key" ] || read -r choose_next <"$work/next.$choose_key"
    [ "$moment" -ge "$choose_next" ] || return 0
    echo "$((moment + 200))" >"$work/next.$choose_key"
    rm -f "$work/last.$choose_key"
    echo "$1" >"$work/chosen.$choose_key"
}

# Hundredths of seconds since boot.
read_moment() {
    read -r moment _ <"$root/proc/uptime"
    moment=${moment%.*}${moment#*.}
}

# connection_key KIND ADDRESS PORT: a file's name. An ssh and a tcp probe of one port share it.
connection_key() {
    printf '%s_%s' "$2" "$3" | tr -c 'a-zA-Z0-9.:_' '_'
}
