# shellcheck shell=sh
# release RUN EPOCH: the run's claim on this host is given back. The fence stays, and belongs to no coordinator: one
# that speaks with that epoch or a lower one is refused, and so is a take-over that was held up on its way.
#
# Refused while a guard is armed or at work, or a step is. Where an older version has armed the run only the lease keeps
# its commands out: it stays, without an owner. Done already is done.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 of_run=$1 epoch=$2
    with_lock release || fail "cannot get the lock of $place"
    print_standing
    finish
}

release() {
    read_fence "$run"
    ! outbid "$epoch" || return 0
    if read_lease && [ "$lease_run" != "$run" ]; then
        # The lease is not ours; the fence beside the roots is.
        raise_fence "$run" "$epoch" - || volatile
        return 0
    fi
    read_token
    ask_systemd
    if [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse other "a guard is on this host"
        return 0
    elif unit_lives fleetdeploy-job.service fleetdeploy-rollback.service; then
        refuse busy "a step is still at work"
        return 0
    fi
    # The fence comes first: a lease that is gone before it would let every coordinator in.
    release_fence=written
    if ! raise_fence "$run" "$epoch" -; then
        volatile
        release_fence=''
    fi
    read_seq "$run"
    if [ -z "$release_fence" ] || { [ -e "$roots/$run/plan" ] && [ -z "$seq" ]; }; then
        write_lines "$place/lease" "$run $epoch -" || fail "cannot write $place/lease"
    else
        rm -f "$place/lease"
    fi
    return 0
}
