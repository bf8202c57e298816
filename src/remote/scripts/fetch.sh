# shellcheck shell=sh
# fetch NEW FROM KEY SECONDS STILL BELIEVED: NEW and what it needs, as far as this host has not got it, from the store
# FROM or a cache of its own. Signatures by KEY count, too; `-` is none. It may take SECONDS, and nothing may move for
# STILL. What a cache has, it has heard in the last BELIEVED seconds; `-` is what Nix has for that.
#
# Changes nothing but the store, and there it only adds. Nothing is built, and nothing comes in that has no signature
# which this host takes. Answers `status N` and the last `log` lines. Needs lib.sh.

main() {
    demand is_store_path "$1"
    demand is_store "$2"
    demand is_cache_key "$3"
    demand is_number "$4" "$5"
    fetch_new=$1 fetch_key=$3 fetch_limit=$4 fetch_longest=$5
    [ "$fetch_key" != - ] || fetch_key=''
    # Not as arguments: others on this host see those, and the address may have a password.
    NIX_CONFIG="extra-substituters = $2
extra-trusted-public-keys = $fetch_key"
    # Whoever has no key gets no question, and whoever does not answer is not waited for.
    NIX_SSHOPTS='-oBatchMode=yes -oConnectTimeout=5 -oServerAliveInterval=10'
    export NIX_CONFIG NIX_SSHOPTS
    # The cache has just been filled: that it lacked something, which Nix keeps for an hour, counts for nothing. What it
    # has, Nix keeps for a month, and with 0 not even in memory: it is then asked some four times for each path.
    if [ "$6" = - ]; then
        set --
    else
        demand is_number "$6"
        set -- --option narinfo-cache-positive-ttl "$6"
    fi
    fetch_log=$(
        # A shell says of a child that it was ended.
        exec 2>/dev/null
        timeout -k 5 "$fetch_limit" nix-store --realise --option max-jobs 0 --option builders '' \
            --option narinfo-cache-negative-ttl 0 --option connect-timeout 5 \
            --option stalled-download-timeout 30 --option download-attempts 2 "$@" "$fetch_new" 2>&1 </dev/null &
        fetch_run=$!
        end_when_still "$fetch_run" &
        fetch_watch=$!
        wait "$fetch_run"
        fetch_status=$?
        kill "$fetch_watch"
        exit "$fetch_status"
    )
    put status "$?"
    [ -z "$fetch_log" ] || printf '%s\n' "$fetch_log" | tail -n 20 | sed 's#//[^/ ]*@#//#g' | put_lines log
    finish
}

# end_when_still PROCESS: ends a fetch in which nothing moves, and says so. Nix notices that of a web server, and ssh of
# a machine; nobody does of a store whose Nix has stopped. The kernel counts what a process has read and written, where
# it is built to; timeout has one child. Source: proc(5), /proc/PID/io, /proc/PID/task/TID/children.
end_when_still() {
    fetch_step=$(((fetch_longest + 15) / 16)) fetch_still=0 fetch_moved=''
    while sleep "$fetch_step" >/dev/null; do
        fetch_child='' fetch_read='' fetch_written=''
        # It ends without a newline, which is no success of `read`.
        read -r fetch_child _ 2>/dev/null <"/proc/$1/task/$1/children"
        if [ -z "$fetch_child" ]; then
            # It may not have begun yet.
            kill -0 "$1" 2>/dev/null || return 0
            continue
        fi
        { read -r _ fetch_read && read -r _ fetch_written; } 2>/dev/null <"/proc/$fetch_child/io"
        [ -n "$fetch_written" ] || continue
        if [ "$fetch_moved" != "$fetch_read $fetch_written" ]; then
            fetch_moved="$fetch_read $fetch_written" fetch_still=0
            continue
        fi
        fetch_still=$((fetch_still + fetch_step))
        [ "$fetch_still" -ge "$fetch_longest" ] || continue
        echo "error: nothing has moved for $fetch_still s"
        kill "$1"
        return
    done
}
