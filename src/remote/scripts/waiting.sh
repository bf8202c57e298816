# shellcheck shell=sh
# Waiting for a detached step on the host itself, and saying how it ended.
# shellcheck disable=SC2034,SC2154 # lib.sh's variables

is_kind() {
    case $1 in test | switch | reactivate | rollback) ;; *) return 1 ;; esac
}

# await_job KIND SECONDS: until it has ended, and tells meanwhile what it prints: its whole log, from the first line.
await_job() {
    read_uptime
    await_end=$((uptime + $2)) await_looks=0
    while log_is_to_come "$1"; do
        sleep 0.05
    done
    [ ! -r "$place/jobs/$1.log" ] || follow_job "$1" <"$place/jobs/$1.log" | put_lines "printed $1"
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
        (put_lines log) <"$1"
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
