# shellcheck shell=sh
# The program of fleetdeploy-job.service and fleetdeploy-rollback.service: one step of a run, detached from ssh.
#
# job RUN EPOCH KIND NEW. Its output goes to a file: switch-to-configuration dies in the middle when what it writes to
# is gone. It holds KIND.lock for as long as it lives; KIND.started says that it began, KIND.status how it ended.
# Needs lib.sh, boot.sh and restore.sh, which stand before it in its file.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    run=$1 epoch=$2 kind=$3 new=$4
    # A roll back believes nothing but what it reads.
    [ "$kind" = rollback ] || of_run=$run quick_systems=yes
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
    # job_trial.sh
    register) run_register 8>&- ;;
    keep) run_keep 8>&- ;;
    esac
    end $?
}

# The fence once more, where nothing can come between: from here on a guard that fires sees that this step began.
begin() {
    read_lease && [ "$lease_run $lease_epoch" = "$run $epoch" ] || return 1
    read_token
    [ "$token_state" = armed ] || return 1
    if [ -e "$place/jobs/$kind.started" ]; then
        read -r begun_by <"$place/jobs/$kind.started"
        [ "$begun_by" != "$run $epoch" ] || return 1
        set_aside "$kind"
    fi
    echo "$run $epoch" >"$place/jobs/$kind.started"
}

end() {
    write_lines "$place/jobs/$kind.status" "$1"
    exit 0
}

# If activation itself moves what a reboot brings, the job's last act is to put that back: nothing is proven yet. A
# power cut between the two comes up on the new system, whose first boot also sets the profile.
run_test() {
    if [ -n "$init_links" ]; then
        read_systems
        begin_switch || return 95
    fi
    switch_to "$new" test 0
    activation_status $? "$place/jobs/$kind.log"
    test_status=$?
    if [ -n "$init_links" ]; then
        # shellcheck disable=SC2086
        new_links $init_links | write_file "$place/jobs/new-links"
        put_init_back || return 98
    fi
    return "$test_status"
}

# new_links [FILE TARGET]…: FILE with what it leads to now, where that is in the new system.
new_links() {
    while [ $# -ge 2 ]; do
        new_link=$(exec readlink "$root$1")
        case $new_link in "$new"/*) echo "$1 $new_link" ;; esac
        shift 2
    done
}

# run_switch ACTION: what `nixos-rebuild switch` adds to `test`: the profile, then the boot loader, then a look.
run_switch() {
    read_systems
    look_for_boot_place
    if [ -n "$boot_missing" ]; then
        echo "nothing was installed: $boot_missing"
        return "$no_boot_place"
    fi
    begin_switch || return 95
    if [ "$profile" != "$new" ]; then
        nix-env -p "$profiles/system" --set "$new" || return 90
    fi
    remove_stale_loader_files
    switch_to "$new" "$1" 0
    activation_status $? "$place/jobs/$kind.log"
    switch_status=$?
    within 30 sync
    # 4: it is done, and some unit of the host is failed.
    case $switch_status in 0 | 4) ;; *) return "$switch_status" ;; esac
    read_systems
    # On some hosts only activation moves it: to where `test` has seen it.
    if [ -n "$init_links" ] && [ "$boot_default" != "$new" ]; then
        # shellcheck disable=SC2046
        point_links $(exec cat "$place/jobs/new-links" 2>/dev/null)
        read_systems
    fi
    echo "profile: $profile"
    echo "boot default: ${boot_default:-not known} ($loader)"
    if [ "$profile" != "$new" ] || [ "$boot_default" != "$new" ]; then
        echo "the boot default did not move to $new${boot_note:+: $boot_note}"
        return 94
    fi
    look_at_boot_files "$new"
    case $boot_files in
    whole) ;;
    bad*)
        echo "a reboot would not come up: ${boot_files#bad }"
        return 97
        ;;
    *) echo "kernel and initrd of the boot default are there, and not compared: ${boot_files#unproven }" ;;
    esac
    return "$switch_status"
}

# On the disk before anything moves that a reboot brings: only what was begun is ever put back after one.
begin_switch() {
    true >"$roots/$run/switching" || return
    mark_generation || return
    within 20 sync "$roots/$run"
}

# Nix makes a new generation unless the newest is the same system. Its number is written down before it is made, and
# safe from a power cut: a roll back deletes exactly this one.
mark_generation() {
    read_newest_generation
    [ "$profile" != "$new" ] || return 0
    read_link "$profiles/system-$newest-link"
    [ "$link" != "$new" ] || return 0
    write_lines "$roots/$run/added-generation" "$((newest + 1))" || return
    within 20 sync "$roots/$run/added-generation" || :
}

# Each part by itself: one that fails does not keep the others from being tried.
roll_back() {
    roll_back_status=0 roll_back_boot=yes
    # First, and not after a wait: a power cut comes when it likes.
    put_init_back
    read_plan job_wait
    wait_for_job "${planned:-60}"
    restore_profile 60 || roll_back_status=93
    restore_boot 180 || roll_back_boot=no
    read_systems
    roll_back_current=yes
    if [ "$current" != "$old_current" ] || ever_started test || ever_started reactivate; then
        restore_current 240 "$place/jobs/$kind.log" || roll_back_current=no
        # The old activation moves it too, and where two systems are restored, to the wrong one.
        put_init_back || roll_back_boot=no
    fi
    # What ran may have mounted again what the installer needs.
    [ "$roll_back_boot" = yes ] || restore_boot 60 || boot_never_moved || roll_back_status=92
    [ "$roll_back_current" = yes ] || roll_back_status=91
    timeout -k 1 30 sync
    [ "$roll_back_status" -ne 0 ] || nothing_is_begun
    return "$roll_back_status"
}

# Whether what cannot be put back, since it cannot be read, was never touched: an installer that fails now as it did
# before has not moved anything.
boot_never_moved() {
    [ -z "$init_links$boot_default" ] && loader_is_untouched || return 1
    echo "boot default: not known now${boot_note:+ ($boot_note)}, and nothing of this run has moved it"
}
