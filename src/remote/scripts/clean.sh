# shellcheck shell=sh
# clean RUN EPOCH SIDE [HOST:MACHINE…]: takes away what the run has left here: roots, trace, plan, token, lease, lock,
# empty folders. SIDE is where this host stands for good (old, new, `-`).
#
# Only when ALL hosts of the run are through. With hosts that are missing a mark that names them stays, and is on the
# disk before anything goes. Refused while a guard is armed, or at work, or a step is. Done already is done; a mark that
# is there is not taken away by this.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2"
    demand is_side "$3"
    run=$1 of_run=$1 epoch=$2 side=$3
    shift 3
    demand is_missing "$@"
    # Before it goes.
    recall_installers
    with_lock clean "$@" || fail "cannot get the lock of $place"
    standing_units=no quick_systems=yes
    print_standing
    finish
}

clean() {
    read_fence "$run"
    ! outbid "$epoch" || return 0
    read_plan run
    guard_run=$planned clean_place=yes
    if read_lease; then
        [ "$lease_run" = "$run" ] || clean_place=no
    elif [ -n "$guard_run" ] && [ "$guard_run" != "$run" ]; then
        clean_place=no
    fi
    # What is in /run may be another run's; our roots are ours.
    if [ "$clean_place" = yes ]; then
        read_token
        ask_systemd
        if [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
            refuse other "a guard is on this host"
            return 0
        elif unit_lives fleetdeploy-job.service fleetdeploy-rollback.service; then
            refuse busy "a step is still at work"
            return 0
        fi
    fi
    if [ $# -gt 0 ] && { read_mark "$run" || [ -d "$roots/$run" ] || [ "$lease_run" = "$run" ]; }; then
        if ! write_mark "$run" "$side" "$epoch" "$@"; then
            fail "cannot write down who was missing: nothing was removed (is the disk full?)"
            return 0
        fi
    fi
    if [ "$side" = new ]; then
        end_older
        forget_trials
    fi
    [ "$clean_place" = no ] || panic_back
    clean_generations
    # The lease before the lock, and the lock last: who waits for it finds it gone and makes a new one.
    if [ "$clean_place" = yes ]; then
        rm -rf "$place/token" "$place/jobs" "$place/plan" "$place/guard.sh" "$place/job.sh" "$place/nap" \
            "$place/fired-at" "$place/reactivated" "$place"/*.new.* "$place/lease" \
            "$root"/sbin/init.fleetdeploy.* "$root"/bin/init.fleetdeploy.* "$root"/init.fleetdeploy.*
    fi
    clean_roots
    # Of folders only those that are empty.
    if [ "$clean_place" = yes ]; then
        rm -fd "$roots" "$place/lock" "$place" 2>/dev/null
    else
        rmdir "$roots" 2>/dev/null
    fi
    return 0
}

# What was armed here before a run that stays is over, and must be known to be when nothing is left of that run.
end_older() {
    read_seq "$run"
    [ -n "$seq" ] || return 0
    older_than=$seq
    set --
    for older_plan in "$roots"/*/plan; do
        older=${older_plan%/plan}
        if [ ! -e "$older_plan" ] || [ -e "$older/over" ]; then continue; fi
        read_seq "${older##*/}"
        [ "${seq:-0}" -lt "$older_than" ] || continue
        if true 2>/dev/null >"$older/over"; then
            set -- "$@" "$older"
        else
            volatile
        fi
    done
    [ $# -eq 0 ] || sync_traces "$@" || volatile
}

# A trial that has ended on the old system is remembered until a push has committed here: one that goes back brings its
# profile back, too. What else a trial has left is cleaned by a step of its own (`clean_trial`).
forget_trials() {
    for clean_failed in "$trials"/*/failed; do
        [ ! -e "$clean_failed" ] || rm -rf "${clean_failed%/failed}"
    done
    rmdir "$trials" 2>/dev/null
}

# A container that was cut off in its switch has booted the old system by itself, and its boot has made a generation of
# that behind the run's own. Nothing of it was left to be rolled back; what would be next in line for a roll back by
# hand is a system that was never proven.
clean_generations() {
    read_line "$roots/$run/added-generation"
    clean_added=$line
    is_number "$clean_added" || return 0
    # Most often there is nothing behind it, and nothing to ask.
    read_newest_generation
    [ "$newest" -gt "$clean_added" ] || return 0
    read_systems
    read_plan old_profile "$roots/$run/plan"
    clean_old=$planned
    read_plan old_generation "$roots/$run/plan"
    clean_number=$planned
    if [ "$loader $generation $profile $current" = "init $((clean_added + 1)) $clean_old $clean_old" ] &&
        [ "$(exec readlink "$profiles/system-$clean_added-link")" = "$(exec readlink "$roots/$run/new")" ] &&
        [ "$(exec readlink "$profiles/system-$clean_number-link")" = "$clean_old" ]; then
        {
            timeout -k 5 20 nix-env -p "$profiles/system" --switch-generation "$clean_number" &&
                timeout -k 5 20 nix-env -p "$profiles/system" --delete-generations "$clean_added" "$generation"
        } </dev/null >/dev/null 2>&1
    fi
}

# The roots first, and with the folder, which keeps the fence, at the end. What is said of systems goes with them, once
# they are not in the store any more.
clean_roots() {
    set --
    for clean_origin in "$origins"/*; do
        clean_system=''
        [ ! -f "$clean_origin" ] || read -r clean_system <"$clean_origin" || :
        if is_store_path "$clean_system" && [ ! -e "$root$clean_system" ]; then set -- "$@" "$clean_origin"; fi
    done
    rm -rf "$roots/$run/new" "$roots/$run/old-current" "$roots/$run/old-boot" "${roots:?}/${run:?}" "$@" ||
        fail "cannot remove $roots/$run"
}
