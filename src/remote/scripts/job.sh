# shellcheck shell=sh
# The program of fleetdeploy-job.service and fleetdeploy-rollback.service: one step of a run, detached from ssh.
#
# job RUN EPOCH KIND NEW. Its output goes to a file: switch-to-configuration dies in the middle when what it writes to
# is gone. It holds KIND.lock for as long as it lives; KIND.started says that it began, KIND.status how it ended.
# Needs lib.sh, boot.sh and restore.sh, which stand before it in its file.
# shellcheck disable=SC2154 # their variables

main() {
    run=$1 epoch=$2 kind=$3 new=$4
    exec 8>"$place/jobs/$kind.lock" </dev/null
    flock -n 8 || exit 0
    with_lock begin || exit 0
    exec >"$place/jobs/$kind.log" 2>&1
    load_old || { echo "the plan in $place/plan is damaged" && end 96; }
    # No child inherits the lock: a daemon that one leaves behind would hold it for ever.
    case $kind in
    test) run_test 8>&- ;;
    switch) run_switch boot 8>&- ;;
    reactivate) run_switch switch 8>&- ;;
    rollback) roll_back 8>&- ;;
    esac
    end $?
}

# The fence once more, where nothing can come between: from here on a guard that fires sees that this step began.
begin() {
    read_lease && [ "$lease_run $lease_epoch" = "$run $epoch" ] || return 1
    read_token
    [ "$token_state" = armed ] || return 1
    if [ -e "$place/jobs/$kind.started" ]; then
        read -r _ begun_by <"$place/jobs/$kind.started"
        [ "$begun_by" != "$epoch" ] || return 1
        set_aside "$kind"
    fi
    echo "$run $epoch" >"$place/jobs/$kind.started"
}

end() {
    echo "$1" | write_file "$place/jobs/$kind.status"
    exit 0
}

run_test() {
    switch_to "$new" test 0
}

# run_switch ACTION: what `nixos-rebuild switch` adds to `test`: the profile, then the boot loader, then a look.
run_switch() {
    read_systems
    if [ "$profile" != "$new" ]; then
        read_newest_generation
        # Nix makes a new generation unless the newest is the same system. Written down before it is made, and safe
        # from a power cut: a roll back deletes exactly this one.
        if [ "$(readlink "$profiles/system-$newest-link")" != "$new" ]; then
            echo "$((newest + 1))" | write_file "$roots/$run/added-generation" || return 95
            timeout -k 1 20 sync "$roots/$run/added-generation"
        fi
        nix-env -p "$profiles/system" --set "$new" || return
    fi
    remove_stale_loader_files
    switch_to "$new" "$1" 0
    switch_status=$?
    timeout -k 1 30 sync
    read_systems
    echo "profile: $profile"
    echo "boot default: ${boot_default:-not known} ($loader)"
    [ "$switch_status" -eq 0 ] || return "$switch_status"
    if [ "$profile" != "$new" ] || [ "$boot_default" != "$new" ]; then
        echo "the boot default did not move to $new${boot_note:+: $boot_note}"
        return 94
    fi
}

# Each part by itself: one that fails does not keep the others from being tried.
roll_back() {
    roll_back_status=0
    wait_for_job "$(plan job_wait | grep . || echo 60)"
    restore_profile 60 || roll_back_status=93
    restore_boot 180 || roll_back_status=92
    read_systems
    if [ "$current" != "$old_current" ] || ever_started test || ever_started reactivate; then
        restore_current 240 || roll_back_status=91
    fi
    timeout -k 1 30 sync
    return "$roll_back_status"
}
