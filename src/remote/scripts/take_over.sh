# shellcheck shell=sh
# take_over RUN EPOCH OWNER: the same run under a higher epoch; from now on the fence refuses every lower one.
#
# Of two who write the same epoch one succeeds. Asked again by the same owner it says done again. On a host that has
# restarted since, and so has no lease, it takes one: an old arm command may still be on its way. A guard of another
# run is refused like its lease; a host that was cleaned has nothing to take over. The fence is raised beside the roots
# first; where that cannot be written the lease alone holds, until a restart, and the answer says so.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 of_run=$1 epoch=$2
    owner_name "$3"
    with_lock take_over || fail "cannot get the lock of $place"
    print_standing
    finish
}

take_over() {
    still_here "$run" || return 0
    if read_lease && [ "$lease_run" != "$run" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
        return 0
    fi
    read_fence "$run"
    ! outbid "$epoch" "$owner_name" || return 0
    read_token
    read_plan run
    guard_run=$planned
    if [ "$token_state" = armed ] && [ "$guard_run" != "$run" ]; then
        refuse foreign_guard "a guard of ${guard_run:-somebody unknown} is on this host"
        return 0
    fi
    raise_fence "$run" "$epoch" "$owner_name" || volatile
    printf '%s %s %s\n' "$run" "$epoch" "$owner_name" | write_file "$place/lease" || fail "cannot write $place/lease"
    return 0
}
