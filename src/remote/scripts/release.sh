# shellcheck shell=sh
# release RUN EPOCH: the run's claim on this host is given back; lower epochs are refused as before.
# Needs lib.sh and boot.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 epoch=$2
    with_lock release || fail "cannot get the lock of $place"
    print_standing
    finish
}

release() {
    if read_lease; then
        [ "$lease_run" = "$run" ] || return 0
        if [ "$lease_epoch" -gt "$epoch" ]; then
            refuse superseded "$lease_owner has taken this run over"
            return 0
        fi
    fi
    read_token
    if [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse other "a guard is on this host"
    elif unit_lives fleetdeploy-job.service || unit_lives fleetdeploy-rollback.service; then
        refuse busy "a step is still at work"
    else
        rm -f "$place/lease"
    fi
    return 0
}
