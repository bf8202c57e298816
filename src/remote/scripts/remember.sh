# shellcheck shell=sh
# remember RUN EPOCH UNIT…: keeps the names of units that made this run roll back, instead of those that are kept,
# beside the roots of all runs: the next push must not take what it finds failed for failed before it.
#
# The survey tells them while they are failed, and forgets each that is not; a commit forgets all. No run is called
# `failed_units`. Refused where the run does not hold this host. Needs lib.sh.
# shellcheck disable=SC2154 # its variables

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 epoch=$2
    shift 2
    demand is_unit "$@"
    with_lock remember "$@" || fail "cannot get the lock of $place"
    finish
}

remember() {
    if ! read_lease || [ "$lease_run" != "$run" ] || [ "$lease_epoch" -gt "$epoch" ]; then
        refuse foreign_lease "run $run does not hold this host"
        return 0
    fi
    for remember_unit in "$@"; do
        printf '%s %s\n' "$remember_unit" "$run"
    done | write_file "$roots/failed_units" || fail "cannot write to $roots"
    timeout -k 1 10 sync "$roots/failed_units" || :
}
