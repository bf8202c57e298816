# shellcheck shell=sh
# exec MARK WHO LIMIT WORD…: runs a command that a person has typed, for at most LIMIT seconds (then SIGTERM, and
# SIGKILL 5 s later, for it and its process group). WHO: login | root, whom it must run as.
#
# The answer of this script is no list of lines: on stdout are the command's bytes and nothing else; on stderr
#   MARK begun
#   ...the command's bytes...
#   MARK ended STATUS MILLISECONDS by_itself|timed_out|stopped     or, instead of all: MARK refused TEXT
# A line on the input, or its end (the sender is gone), ends the command.
#
# WORD: the bytes of a word, with a backslash and what is no printable text as \0 and three octal digits (printf %b).
# Nothing is evaluated: the words are the command. It runs with what the login has for environment, and reads nothing.
LC_ALL=C
export LC_ALL

main() {
    exec_mark=$1 exec_who=$2 exec_limit=$3
    shift 3
    if [ "$exec_who" = root ] && [ "$(exec id -u)" != 0 ]; then
        printf '%s refused it must run as root, and this login is not root and does not become it (become: no)\n' \
            "$exec_mark" >&2
        exit 0
    fi
    for exec_word do
        # The x keeps newlines at the end.
        exec_word=$(printf '%bx' "$exec_word")
        set -- "$@" "${exec_word%x}"
        shift
    done
    printf '%s begun\n' "$exec_mark" >&2
    exec_began=$(exec_now)
    exec_how=by_itself
    # A background process would have /dev/null as its input.
    exec 3<&0
    (
        unset LC_ALL
        # It makes a process group of its own, of its own number.
        exec timeout -k 5 -- "$exec_limit" "$@" 3<&-
    ) </dev/null &
    exec_group=$!
    trap 'exec_how=stopped; kill -s TERM "$exec_group"' TERM
    (
        trap - TERM
        IFS= read -r _ || :
        kill -s TERM "$$"
    ) <&3 3<&- >/dev/null 2>&1 &
    exec_watch=$!
    # What this shell itself would say of processes that were killed is not the command's.
    exec 3<&- 4>&2 2>/dev/null
    exec_await
    trap '' TERM
    kill -s KILL "$exec_watch"
    exec_took=$(($(exec_now) - exec_began))
    case $exec_status in
    124 | 137) [ "$exec_how" = stopped ] || [ "$exec_took" -lt "$((exec_limit * 1000))" ] || exec_how=timed_out ;;
    esac
    # What has not gone when it was told to.
    [ "$exec_how" = by_itself ] || kill -s KILL -- "-$exec_group"
    printf '%s ended %s %s %s\n' "$exec_mark" "$exec_status" "$exec_took" "$exec_how" >&4
    exit 0
}

# $exec_status, when the command has ended: a signal ends a wait before that.
exec_await() {
    while :; do
        wait "$exec_group"
        exec_status=$?
        [ "$exec_status" -gt 128 ] && kill -s 0 "$exec_group" || return 0
    done
}

# Milliseconds since boot.
exec_now() {
    read -r exec_uptime _ </proc/uptime
    exec_hundredths=${exec_uptime#*.}
    echo "$((${exec_uptime%.*} * 1000 + ${exec_hundredths#0} * 10))"
}
