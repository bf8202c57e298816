# shellcheck shell=sh
# take_over RUN EPOCH OWNER: the same run under a higher epoch; from now on the fence refuses every lower one.
#
# Of two who write the same epoch one succeeds. Asked again by the same owner it says done again. On a host that has
# restarted since, and so has no lease, it takes one: an old arm command may still be on its way. A guard of another
# run is refused like its lease; a host that was cleaned has nothing to take over.
# Needs lib.sh and boot.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 epoch=$2 owner=$(printf '%s' "$3" | tr -d '\000-\037\177')
    with_lock take_over || fail "cannot get the lock of $place"
    print_standing
    finish
}

take_over() {
    still_here "$run" || return 0
    if read_lease; then
        if [ "$lease_run" != "$run" ]; then
            refuse foreign_lease "run $lease_run of $lease_owner holds this host"
            return 0
        elif [ "$lease_epoch $lease_owner" = "$epoch $owner" ]; then
            return 0
        elif [ "$lease_epoch" -ge "$epoch" ]; then
            refuse superseded "$lease_owner has taken this run over"
            return 0
        fi
    fi
    read_token
    guard_run=$(plan run)
    if [ "$token_state" = armed ] && [ "$guard_run" != "$run" ]; then
        refuse foreign_guard "a guard of ${guard_run:-somebody unknown} is on this host"
        return 0
    fi
    printf '%s %s %s\n' "$run" "$epoch" "$owner" | write_file "$place/lease" || fail "cannot write $place/lease"
    return 0
}
