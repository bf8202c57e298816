# shellcheck shell=sh
# Waiting for a detached step on the host itself, and saying how it ended.
# shellcheck disable=SC2154 # lib.sh's variables

is_kind() {
    case $1 in test | switch | reactivate | rollback) ;; *) return 1 ;; esac
}

# await_job KIND SECONDS: until it has ended. The step holds a lock for as long as it lives: no asking again and again.
await_job() {
    read_uptime
    await_end=$((uptime + $2))
    while :; do
        read_job "$1"
        case $job_state in
        running)
            read_uptime
            [ "$await_end" -gt "$uptime" ] || return 0
            flock -s -w "$((await_end - uptime))" "$place/jobs/$1.lock" true || return 0
            ;;
        none)
            # systemd has started it, and it has not yet come to its first line; or it refused to begin.
            unit_lives "$(job_unit "$1")" || { read_job "$1" && return 0; }
            sleep 0.05
            ;;
        *) return 0 ;;
        esac
    done
}

# print_ending KIND: the standing, the end of the log, and what failed units have to say.
print_ending() {
    print_standing
    [ ! -r "$place/jobs/$1.log" ] || tail -n 60 "$place/jobs/$1.log" | put_lines log
    printf '%s\n' "$units" | sed -n 's/^failed_unit //p' | head -n 8 | while read -r ending_unit; do
        timeout 3 journalctl -q --no-pager -b -n 6 -o cat -u "$ending_unit" 2>/dev/null |
            sed "s|^|[$ending_unit] |" | put_lines log
    done
}
