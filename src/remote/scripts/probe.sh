# shellcheck shell=sh
# probe LIFE (probe ID KIND TIMEOUT_MS COUNT ARG…)…: asks all the probes of this host, side by side, round after round.
#
# Reads `round N` from its input; answers each with one line `probe N ID up|down MICROSECONDS|- DETAIL` per probe, what
# the host says of itself (`host N KEY VALUE`, `wg_interface …`, `wg_peer …`), and `done N`. Ends, with `end`, at the
# end of its input, at `stop`, or after LIFE seconds. Changes nothing, leaves no process and no file.
# KIND ARG…: ping ADDRESS | ssh ADDRESS PORT | tcp ADDRESS PORT | http URL STATUS [TEXT] | dns NAME SERVER |
# wireguard ADDRESS SECONDS | argv WORD… | shell TEXT; `-` is any STATUS of success, the host's own resolver; without
# TEXT the body may be any. Needs lib.sh, wireguard.sh and probes.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_number "$1"
    life=$1
    shift
    work='' watchdog=''
    forget_round
    trap 'clean_up' EXIT
    trap 'exit 0' HUP INT PIPE
    trap finish TERM
    work=$(mktemp -d "$root/run/fleetdeploy-probe.XXXXXX") || work=$(mktemp -d) || exit 1
    keep_time "$((life * 1000))" end_script
    watchdog=$keepers keepers='' keys=0
    each_probe note_key "$@"
    while read -r word number _; do
        case $word in
        round)
            is_number "$number" || continue
            run_round "$number" "$@"
            ;;
        stop) break ;;
        esac
    done
    finish
}

clean_up() {
    trap '' HUP INT TERM PIPE
    # It may be in the middle of something that splits lines.
    unset IFS
    {
        # shellcheck disable=SC2086 # numbers
        kill -s KILL $watchdog $keepers
        end_begun KILL
        for clean_id in $groups; do eval "end_group \"\$child_$clean_id\""; done
        # What it was just beginning stands in no list yet.
        ! is_ours "${!-0}" || end_group "$!"
        wait
    } 2>/dev/null
    [ -z "$work" ] || rm -rf "$work"
}

# each_probe FUNCTION ARG…: calls it for each probe with ID KIND TIMEOUT_MS COUNT and the rest, of which COUNT are its
# own.
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
    forget_round
    read_moment
    each_probe begin_probe "$@"
    for round_limit in $limits; do keep_time "$round_limit" end_begun TERM "$round_limit"; done
    # Meanwhile.
    print_host
    print_wireguard wg
    each_probe finish_probe "$@"
    end_keepers
    forget_round
    printf 'done %s\n' "$round"
}

# What verify compares with the baseline, taken in the same round as the links.
print_host() {
    read_boot_id
    resolve /run/current-system
    put host "$round boot_id $boot_id"
    put host "$round current $resolved"
    read_units
    set -f
    IFS=$probe_newline
    for host_line in $units; do
        printf 'host %s %s\n' "$round" "$host_line"
    done
    unset IFS
    set +f
    read_uptime
    put host "$round uptime $uptime"
}

# ---- what is under way ----
# Only this shell waits: what it has begun has a place in these lists, and in $child_ID until its answer is read.

# $begun: `TIMEOUT_MS:PID` (`-` of one that keeps its time itself); $groups: the probes whose process leads a group;
# $limits: the times that are kept, and $keepers: the processes that keep them.
forget_round() {
    begun='' groups='' limits='' keepers=''
}

# began ID TIMEOUT_MS|- PID
began() {
    eval "child_$1=\$3"
    begun="$begun $2:$3"
    case " - $limits " in *" $2 "*) ;; *) limits="$limits $2" ;; esac
}

# began_group ID PID
began_group() {
    eval "child_$1=\$2"
    groups="$groups $1"
}

# keep_time MILLISECONDS FUNCTION ARG…: calls it when they are over. One process sleeps, and another hears of its end:
# both can be killed by their number at any time, and nothing of them is left.
keep_time() {
    [ -p "$work/late.$2.$1" ] || mkfifo "$work/late.$2.$1" || exit 1
    read_seconds "$1"
    sleep "$seconds" >"$work/late.$2.$1" 2>/dev/null &
    keepers="$keepers $!"
    call_late "$@" &
    keepers="$keepers $!"
}

call_late() {
    trap - EXIT HUP INT PIPE TERM
    read -r late_from _ </proc/uptime
    read -r _ <"$work/late.$2.$1"
    read -r late_now _ </proc/uptime
    # A sleep that was ended before its time says nothing about the network.
    late_from=${late_from%.*}${late_from#*.} late_now=${late_now%.*}${late_now#*.}
    [ "$((late_now - late_from))" -ge "$(($1 / 10))" ] || exit 0
    shift
    "$@"
}

# end_script: ends the script's own process, and not another one that has its number once it is gone.
end_script() {
    read -r _ _ _ end_parent _ </proc/self/stat
    [ "$end_parent" != "$$" ] || kill -TERM "$$"
}

# end_begun SIGNAL [TIMEOUT_MS]: those that had that much time, or all. bash would report a death by KILL.
end_begun() {
    for end_child in $begun; do
        [ "${end_child%:*}" = "${2-${end_child%:*}}" ] || continue
        ! is_ours "${end_child#*:}" || kill -s "$1" "${end_child#*:}" 2>/dev/null
    done
}

# end_group PID|'': that process first, for it may not lead its group yet.
end_group() {
    [ -n "$1" ] || return 0
    ! is_ours "$1" || kill -s KILL "$1" 2>/dev/null
    kill -s KILL -- "-$1" 2>/dev/null
}

# is_ours PID: whether this script has begun it; the number may belong to another process once that one is gone.
is_ours() {
    { read -r _ _ _ ours_parent _ <"/proc/$1/stat"; } 2>/dev/null && [ "$ours_parent" = "$$" ]
}

end_keepers() {
    {
        # shellcheck disable=SC2086 # numbers
        [ -z "$keepers" ] || kill -s KILL $keepers
        # One by one: a wait of bash 5.2 for several of which some are gone may never end.
        for keeper in $keepers; do wait "$keeper"; done
    } 2>/dev/null
}

# ---- connections ----
# An sshd punishes addresses that connect and leave, and behind a jump all users share that address: at most one
# connection in two seconds to one address and port, all probes together, and none for ten seconds after a refusal.
# The first probe of a round to an address that may be asked makes the connection; the others use its answer.

# note_key ID KIND TIMEOUT_MS COUNT ADDRESS PORT: the number of its address and port. An ssh and a tcp probe of one
# share it.
note_key() {
    case $2 in ssh | tcp) ;; *) return 0 ;; esac
    is_number "$1" || return 0
    note_number=1
    while [ "$note_number" -le "$keys" ]; do
        eval "note_address=\$address_$note_number"
        [ "$note_address" != "$5 $6" ] || break
        note_number=$((note_number + 1))
    done
    if [ "$note_number" -gt "$keys" ]; then
        keys=$note_number
        eval "address_$keys=\"\$5 \$6\" next_$keys=0 last_$keys=''"
    fi
    eval "key_$1=$note_number"
}

# may_connect ID: whether this probe makes the connection of its address.
may_connect() {
    eval "may_key=\$key_$1"
    eval "may_next=\$next_$may_key"
    [ "$moment" -ge "$may_next" ] || return 1
    # Then no other probe of this round connects either.
    eval "next_$may_key=$((moment + 200)) last_$may_key=''"
}

# Hundredths of seconds since boot.
read_moment() {
    read -r moment _ <"$root/proc/uptime"
    moment=${moment%.*}${moment#*.}
}
