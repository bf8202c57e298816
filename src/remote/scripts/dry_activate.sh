# shellcheck shell=sh
# dry_activate NEW LIMIT: what activating NEW would do to this host's units, as NEW itself says; for at most LIMIT
# seconds.
#
# Changes nothing, and hinders no switch: the program holds the lock of a switch meanwhile, so it is not run where one
# is under way or a run holds the host. Answers `status N`, that of the program, and `log` lines. Needs lib.sh.
# shellcheck disable=SC2154 # its variables

main() {
    demand is_store_path "$1"
    demand is_number "$2"
    if switch_runs; then
        refuse busy "$switch_text on this host"
    elif read_lease; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    else
        dry_log=$(switch_to "$1" dry-activate "$2" 2>&1)
        put status "$?"
        # A list of units is one line. The longest repetition that every sed knows is 32767.
        [ -z "$dry_log" ] || printf '%s\n' "$dry_log" | tail -n 400 | put_lines log 30000
    fi
    finish
}
