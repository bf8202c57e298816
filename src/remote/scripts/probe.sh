# shellcheck shell=bash
# probe LIFE (probe ID KIND TIMEOUT_MS COUNT ARG…)…: asks the probes of this host, side by side, round after round.
#
# Reads `round N [ID…]` from its input, with the probes that are to be asked, or none for all; or `links N [ID…]`, which
# does not ask systemd for the units. Answers each with a line `probe N ID up|down|silent|later MICROSECONDS|- DETAIL`
# per probe, what the host says of itself (`control N …`,
# `host N KEY VALUE`, `wg_interface …`, `wg_peer …`), and `done N`. `down` was heard, `silent` was not, and `later` was
# not asked yet. Ends, with `end`, at the end of its input, at `stop`, or after LIFE seconds. Changes nothing, leaves no
# process and no file.
# KIND ARG…: ping ADDRESS | ssh ADDRESS PORT [KEY] | tcp ADDRESS PORT | http URL STATUS [TEXT] | dns NAME SERVER |
# wireguard ADDRESS SECONDS | argv WORD… | shell TEXT; KEY is the machine at the far end; `-` is any STATUS of success,
# the host's own resolver; without TEXT the body may be any. Needs lib.sh, wireguard.sh and probes.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and what they use of ours

main() {
    demand is_number "$1"
    # The text of this script, which its children need not have.
    unset s
    life=$1
    shift
    begun=() groups=() work='' pings_itself=''
    trap 'clean_up' EXIT
    trap 'exit 0' HUP INT PIPE
    trap finish TERM
    learn_probes "$@"
    read_now
    life=$((now + life * 100))
    while read_now && read -r -t "$(((life - now) / 100 + 1))" word number chosen; do
        case $word in
        round | links)
            is_number "$number" || continue
            case $word in links) standing_units=no ;; *) standing_units=yes ;; esac
            # shellcheck disable=SC2086 # numbers
            run_round "$number" $chosen
            read_now
            [ "$now" -lt "$life" ] || break
            ;;
        stop) break ;;
        esac
    done
    finish
}

# Most rounds need none: it takes a process to make it, and one to take it away. Its name is known before it is there:
# whatever ends this script in between would else leave it behind.
need_work() {
    [ -z "$work" ] || return 0
    local need_place
    for need_place in "$root/run" "${TMPDIR:-/tmp}"; do
        work=$need_place/fleetdeploy-probe.$$.$RANDOM$RANDOM
        ! mkdir -m 700 "$work" 2>/dev/null || return 0
    done
    work=''
    exit 1
}

clean_up() {
    trap '' HUP INT TERM PIPE
    # It may be in the middle of something that splits lines.
    unset IFS
    {
        for clean_child in "${groups[@]}"; do end_group "$clean_child"; done
        for clean_child in "${begun[@]}"; do end_child "$clean_child"; done
        # What it was just beginning stands in no list yet.
        ! is_ours "${!-0}" || end_group "$!"
        wait
    } 2>/dev/null
    [ -z "$work" ] || rm -rf "$work"
}

# learn_probes ARG…: each by its number.
learn_probes() {
    ids=() kinds=() times=() firsts=() counts=() own=()
    while [ $# -ge 5 ] && [ "$1" = probe ] && is_number "$5"; do
        if is_number "$2" && is_number "$4"; then
            ids+=("$2")
            kinds[$2]=$3 times[$2]=$4 counts[$2]=$5 firsts[$2]=${#own[@]}
            own+=("${@:6:$5}")
        fi
        shift "$((5 + $5 < $# ? 5 + $5 : $#))"
    done
    local id at place kind
    local -A key_of=()
    # A tcp probe may lead to an sshd that an ssh probe asks, too.
    for kind in ssh tcp; do
        for id in "${ids[@]}"; do
            [ "${kinds[id]}" = "$kind" ] || continue
            at=${firsts[id]} place="${own[at]} ${own[at + 1]-}"
            sshd_of[id]=$place
            [ "$kind" = tcp ] || [ "${counts[id]}" -lt 3 ] || sshd_of[id]=${own[at + 2]}
            sshd_of[id]=${key_of[$place]:-${sshd_of[id]}}
            key_of[$place]=${sshd_of[id]}
        done
    done
}

# run_round NUMBER [ID…]
run_round() {
    round=$1
    shift
    # One probe each: a number twice would be asked twice.
    local -A wanted=()
    local id
    for id; do wanted[$id]=1; done
    asked=()
    for id in "${ids[@]}"; do
        [ $# -gt 0 ] && [ -z "${wanted[$id]-}" ] || asked+=("$id")
    done
    begun=() groups=() connecting=() batch_children=() batch_fds=() batch_ids=() batch_at=() batch_rests=()
    longest=0
    read_moment
    read_now
    round_from=$now
    begin_wireguard
    for id in "${asked[@]}"; do begin_probe "$id"; done
    begin_batches
    # Without a link there is nothing that could have been heard.
    late=''
    if [ "${#asked[@]}" -gt 0 ]; then
        begin_control
        print_control
    fi
    # Meanwhile.
    print_host
    hear_wireguard
    print_wireguard_dump wg
    hear_batches
    for id in "${asked[@]}"; do finish_probe "$id"; done
    begun=() groups=()
    printf 'done %s\n' "$round"
}

# What verify compares with the baseline, taken in the same round as the links.
print_host() {
    read_boot_id
    # No process, where the link leads to something.
    if cd -P "$root/run/current-system" 2>/dev/null; then
        resolved=$PWD
        is_store_path "$resolved" || resolved=''
        cd /
    else
        resolve /run/current-system
    fi
    put host "$round boot_id $boot_id"
    put host "$round current $resolved"
    units=''
    [ "$standing_units" = no ] || read_units
    learn_units
    local host_line
    while IFS= read -r host_line; do
        [ -z "$host_line" ] || printf 'host %s %s\n' "$round" "$host_line"
    done <<<"$units"
    read_uptime
    put host "$round uptime $uptime"
}

# learn_units: what this round has said of services that run is not asked for in the next.
learn_units() {
    local word unit invocation state marks count restarts=' ' known=' '
    [ -n "$units" ] || return 0
    while read -r word unit invocation state marks; do
        case $word:$state in
        restarts:*) restarts="$restarts$unit=$invocation " ;;
        unit_now:active)
            case $restarts in *" $unit="*) count=${restarts##*" $unit="} ;; *) count=0 ;; esac
            known="$known$unit=$invocation=${marks#=}=${count%% *} "
            ;;
        esac
    done <<<"$units"
    known_units=$known
}

# ---- what is under way ----
# Only this shell waits: it reads what its children say until their time is over, and ends those that are left. None of
# that takes a process.

# read_now: hundredths of seconds since boot, also those asleep, by this machine's own clock: a step of the other one
# must not end a round.
read_now() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

# hear FD UNTIL [REST]: the lines that it has said by then, in $heard; fails where it has not ended by then, or never
# would. A line may be cut there: its beginning is in $rest, and comes as REST the next time.
# Not in blocks (`read -N`), which would be cheaper: where its time ends while bash goes through a block, the rest of it
# is lost.
hear() {
    heard=() rest=${3-}
    local hear_line hear_left hear_status
    while :; do
        read_now
        hear_left=$(($2 - now))
        [ "$hear_left" -gt 0 ] || hear_left=1
        printf -v hear_left '%d.%02d' "$((hear_left / 100))" "$((hear_left % 100))"
        IFS= read -r -n 4096 -t "$hear_left" -u "$1" hear_line
        hear_status=$? rest=$rest$hear_line
        [ "$hear_status" -le 128 ] || return 1
        [ -z "$rest" ] || heard+=("$rest")
        rest=''
        [ "$hear_status" -eq 0 ] || return 0
        [ "${#heard[@]}" -lt 4096 ] || return 1
    done
}

# end_child PID: if this script has begun it; the number may belong to another process once that one is gone.
end_child() {
    ! is_ours "$1" || kill -s KILL "$1" 2>/dev/null
}

# end_group PID: that process first, for it may not lead its group yet.
end_group() {
    end_child "$1"
    kill -s KILL -- "-$1" 2>/dev/null
}

is_ours() {
    local ours_parent
    { read -r _ _ _ ours_parent _ <"/proc/$1/stat"; } 2>/dev/null && [ "$ours_parent" = "$$" ]
}

# ---- the control ----
# A host that cannot answer itself in time has not looked at its links either: what it has not heard says nothing.

# begin_control: a process, a connection to this host's own sshd where others are asked for one, and a ping to itself.
begin_control() {
    control_port=''
    if [ "${#connecting[@]}" -gt 0 ] && [ "$moment" -ge "${next[control]-0}" ]; then
        control_port=${SSH_CONNECTION##* }
        is_number "$control_port" || control_port=22
        next[control]=$((moment + 200))
    fi
    read_now
    control_from=$now
    exec {control_fd}< <(control)
    begun+=("$!") control_child=$!
}

control() {
    # It matters when that is over, and not how.
    [ -z "$control_port" ] || { exec 3<>"/dev/tcp/127.0.0.1/$control_port"; } 2>/dev/null
    read_now
    echo "ready $now"
    exec ping -n -c 1 -W 1 127.0.0.1 2>&1 </dev/null
}

# print_control: how many milliseconds until the process and its connection were there, the longest time of a probe that
# was asked, and how long until the ping was back; `-` where that did not come in half of the longest time. Then $late:
# nobody is asked any more in this round. A host that lets no ping come to itself is known by never having heard one.
print_control() {
    local ready=- pinged=- line half=$((longest / 2))
    hear "$control_fd" "$((control_from + half + 10))" || :
    read_now
    for line in "${heard[@]}"; do
        case $line in
        'ready '*) ready=$(((${line#* } - control_from) * 10)) ;;
        *time=*' ms'*) pinged=$(((now - control_from) * 10)) pings_itself=yes ;;
        esac
    done
    end_child "$control_child"
    exec {control_fd}<&-
    late=''
    is_in_time "$ready" && { [ -z "$pings_itself" ] || is_in_time "$pinged"; } || late=yes
    printf 'control %s %s %s %s\n' "$round" "$ready" "$((longest * 10))" "$pinged"
}

is_in_time() {
    [ "$1" != - ] && [ "$1" -le "$((longest * 5))" ]
}

# Hundredths of seconds since boot, as the rule for connections counts them.
read_moment() {
    read -r moment _ <"$root/proc/uptime"
    moment=${moment%.*}${moment#*.}
}
