# shellcheck shell=sh
# Waiting for a detached step on the host itself, and saying how it ended.
# shellcheck disable=SC2034,SC2154 # lib.sh's variables

is_kind() {
    case $1 in test | switch | reactivate | rollback | register | keep) ;; *) return 1 ;; esac
}

# await_job KIND SECONDS: until it has ended, and tells meanwhile what it prints: its whole log, from the first line.
await_job() {
    read_uptime
    await_end=$((uptime + $2)) await_looks=0
    while log_is_to_come "$1"; do
        sleep 0.05
    done
    [ -r "$place/jobs/$1.log" ] || return 0
    if [ -n "${BASH_VERSION-}" ]; then
        follow_in_shell "$1" <"$place/jobs/$1.log"
    else
        follow_job "$1" <"$place/jobs/$1.log" | put_lines "printed $1"
    fi
}

# Whether systemd has started it, and it has not yet come to its first lines. It may also have refused to begin.
log_is_to_come() {
    [ ! -e "$place/jobs/$1.log" ] && await_goes_on || return 1
    read_job "$1"
    case $job_state in
    running) ;;
    none)
        # It is there in a moment as a rule; systemd need not be asked in each.
        await_looks=$((await_looks + 1))
        [ "$((await_looks % 10))" -ne 0 ] || { job_unit "$1" && unit_lives "$job_unit"; }
        ;;
    *) return 1 ;;
    esac
}

await_goes_on() {
    read_uptime
    [ "$await_end" -gt "$uptime" ]
}

# follow_job KIND: copies its log, which is the input, until it has ended. The step holds a lock for as long as it
# lives, so its end is seen at once; what it prints, a second later. Each `head` goes on where the one before has
# stopped. A log that runs wild is cut, because no answer waits for it. When no one listens any more, the copying ends.
follow_job() {
    while [ ! -e "$place/jobs/$1.status" ] && [ -e "$place/jobs/$1.lock" ] && await_goes_on &&
        ! flock -s -w 1 7 2>/dev/null 7<"$place/jobs/$1.lock"; do
        head -c 1000000 || return
    done
    head -c 4000000
}

# follow_in_shell KIND: the same by bash itself, which takes but the process that waits.
follow_in_shell() {
    follow_rest=''
    while [ ! -e "$place/jobs/$1.status" ] && [ -e "$place/jobs/$1.lock" ] && await_goes_on &&
        ! flock -s -w 1 7 2>/dev/null 7<"$place/jobs/$1.lock"; do
        follow_text "$1" 1000000
    done
    follow_text "$1" 4000000
    [ -z "$follow_rest" ] || printf '%s\n' "$follow_rest" | put_lines "printed $1"
}

# follow_text KIND BYTES: the lines that are there, but not more; one without its end is kept for the next time, as much
# of it as is looked at.
follow_text() {
    follow_left=$2 follow_status=0
    # In its POSIX mode bash would read byte by byte.
    # shellcheck disable=SC3028,SC3040 # bash
    follow_shell=$SHELLOPTS && set +o posix
    while [ "$follow_left" -gt 0 ] && [ "$follow_status" -eq 0 ]; do
        # shellcheck disable=SC3045 # bash
        IFS= read -r -N 32768 follow_block
        follow_status=$?
        follow_left=$((follow_left - 32768))
        case $follow_block in
        *"$follow_newline"*)
            follow_block=$follow_rest$follow_block
            follow_rest=${follow_block##*"$follow_newline"}
            put_block "printed $1" "${follow_block%"$follow_newline"*}"
            ;;
        *) follow_rest=$follow_rest$follow_block ;;
        esac
        # shellcheck disable=SC3045 # bash
        [ "${#follow_rest}" -le 4096 ] || printf -v follow_rest %.4096s "$follow_rest"
    done
    # shellcheck disable=SC3040 # bash
    case $follow_shell in *posix*) set -o posix ;; esac
}
follow_newline='
'

# put_block KEY TEXT: its lines, as put_lines gives them; without a process where all of them are plain.
put_block() {
    block_rest=$2$follow_newline block_lines=''
    while [ -n "$block_rest" ]; do
        block_line=${block_rest%%"$follow_newline"*}
        block_rest=${block_rest#*"$follow_newline"}
        case ${#block_line}:$block_line in
        [0-9][0-9][0-9][0-9]*:* | [5-9][0-9][0-9]:* | *[\\[:cntrl:]]*)
            printf '%s\n' "$2" | put_lines "$1"
            return
            ;;
        esac
        block_lines="$block_lines$1 $block_line$follow_newline"
    done
    printf %s "$block_lines"
}

# print_logs KIND…: the logs of jobs that are not waited for any more.
print_logs() {
    for logs_kind in "$@"; do
        [ ! -r "$place/jobs/$logs_kind.log" ] ||
            head -c 4000000 "$place/jobs/$logs_kind.log" | put_lines "printed $logs_kind"
    done
}

# put_log_end FILE: its last 60 lines; most logs have no more.
put_log_end() {
    ending_lines=0
    while [ "$ending_lines" -le 60 ] && read -r _; do ending_lines=$((ending_lines + 1)); done <"$1"
    if [ "$ending_lines" -le 60 ]; then
        put_each log <"$1"
    else
        tail -n 60 "$1" | put_lines log
    fi
}

# print_ending KIND: the standing, the end of the log, and what failed units have to say.
print_ending() {
    # A boot default that has moved has started nothing, and the round behind it asks for the units.
    if [ "$1" = switch ]; then
        read_job switch
        [ "$job_state" != 'exited 0' ] || standing_units=no
    fi
    print_standing
    [ ! -r "$place/jobs/$1.log" ] || put_log_end "$place/jobs/$1.log"
    case $units in *failed_unit*) ;; *) return 0 ;; esac
    printf '%s\n' "$units" | sed -n 's/^failed_unit //p' | head -n 8 | while read -r ending_unit; do
        timeout 3 journalctl -q --no-pager -b -n 6 -o cat -u "$ending_unit" 2>/dev/null |
            sed "s|^|[$ending_unit] |" | put_lines log
    done
}
