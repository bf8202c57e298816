# shellcheck shell=sh
# clean RUN EPOCH: takes away what the run has left here: roots, trace, plan, token, lease, lock, empty folders.
#
# Only when ALL hosts of the run are through. Refused while a guard is armed, or at work, or a step is. Done already is
# done.
# Needs lib.sh and boot.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    demand is_number "$2"
    run=$1 epoch=$2
    with_lock clean || fail "cannot get the lock of $place"
    print_standing
    finish
}

clean() {
    if read_lease; then
        if [ "$lease_run" != "$run" ]; then
            # Its places in /run are not ours; our roots are.
            clean_roots
            rmdir "$roots" 2>/dev/null
            return 0
        elif [ "$lease_epoch" -gt "$epoch" ]; then
            refuse superseded "$lease_owner has taken this run over"
            return 0
        fi
    fi
    read_token
    if [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse other "a guard is on this host"
        return 0
    elif unit_lives fleetdeploy-job.service || unit_lives fleetdeploy-rollback.service; then
        refuse busy "a step is still at work"
        return 0
    fi
    panic_back
    clean_generations
    clean_roots
    rmdir "$roots" 2>/dev/null
    # The lease before the lock, and the lock last: who waits for it finds it gone and makes a new one.
    rm -rf "$place/token" "$place/jobs"
    rm -f "$place/plan" "$place/guard.sh" "$place/job.sh" "$place/nap" "$place/fired-at" "$place/reactivated" "$place"/*.new.* "$place/lease" \
        "$root"/sbin/init.fleetdeploy.* "$root"/bin/init.fleetdeploy.* "$root"/init.fleetdeploy.*
    rm -f "$place/lock"
    rmdir "$place" 2>/dev/null
    return 0
}

# A container that was cut off in its switch has booted the old system by itself, and its boot has made a generation of that
# behind the run's own. Nothing of it was left to be rolled back; what would be next in line for a roll back by hand is
# a system that was never proven.
clean_generations() {
    clean_added=$(cat "$roots/$run/added-generation" 2>/dev/null)
    is_number "$clean_added" || return 0
    read_systems
    clean_old=$(plan_from "$roots/$run/plan" old_profile) clean_number=$(plan_from "$roots/$run/plan" old_generation)
    if [ "$loader $generation $profile $current" = "init $((clean_added + 1)) $clean_old $clean_old" ] &&
        [ "$(readlink "$profiles/system-$clean_added-link")" = "$(readlink "$roots/$run/new")" ] &&
        [ "$(readlink "$profiles/system-$clean_number-link")" = "$clean_old" ]; then
        {
            timeout -k 5 20 nix-env -p "$profiles/system" --switch-generation "$clean_number" &&
                timeout -k 5 20 nix-env -p "$profiles/system" --delete-generations "$clean_added" "$generation"
        } </dev/null >/dev/null 2>&1
    fi
}

clean_roots() {
    rm -rf "${roots:?}/${run:?}" || fail "cannot remove $roots/$run"
}
