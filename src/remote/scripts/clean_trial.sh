# shellcheck shell=sh
# clean_trial RUN WHY: takes away what the trial has left here: the next boot, our entry, in the old boot what the
# loader was moved to, and at last what outlives a reboot. Where nothing was proven, and a reboot brings the old system,
# a mark of that stays, with WHY.
#
# Refused while a guard of any run is armed or at work, or a step is, or the order to go is being followed. What belongs
# to the trial of another run stays. Done already is done.
# Needs lib.sh, boot.sh, boot_once.sh, trials.sh and restore.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    run=$1 why=$2 folder=$trials/$1
    if with_lock may_clean; then
        # Not with the lock, which is held for moments only.
        (put_loader_right >/dev/null 2>&1)
        with_lock clean || fail "cannot get the lock of $place"
    elif [ "$?" -ne 1 ]; then
        fail "cannot get the lock of $place"
    fi
    print_standing
    finish
}

# may_clean: refuses aloud if not.
may_clean() {
    read_token
    systemd_says=''
    if [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse other "a guard is on this host"
        return 1
    fi
    goes_nowhere && nothing_at_work
}

# In the old boot, where the guard has fired and could not do it. Only what register has done is undone: what a person
# has switched to meanwhile stays.
put_loader_right() {
    of_trial "$run" || return 0
    read_line_run
    read_plan boot_id
    [ "$line_run" != "$run" ] && same_boot "$planned" && ever_started register && load_old || return 0
    read_plan booted
    right_booted=$planned
    read_plan tried
    read_systems
    case $profile:$boot_default in
    "$planned:" | "$planned:$right_booted") [ "$boot_default" = "$old_boot" ] || restore_boot 180 ;;
    esac
}

clean() {
    may_clean || return 0
    read_line_run
    if [ -n "$line_run" ] && ! true 2>/dev/null >"$trial_over"; then
        fail "cannot write $trial_over"
        return 0
    fi
    read_systems
    look_at_witness "$folder"
    if is_ours_to_take; then
        if ! remove_trial_entry; then
            fail "the next boot cannot be emptied, or our entry not be removed: ${next_boot:-the entry is there}"
            return 0
        fi
        dismiss_witness
    fi
    # Its next boot was taken.
    [ ! -e "$folder/proven" ] || rm -f "$forgetful"
    clean_values
    clean_survivor || return 0
    if of_trial "$run"; then
        rm -rf "$place/token" "$place/jobs" "$place/plan" "$place/guard.sh" "$place/job.sh" "$place/nap" \
            "$place/fired-at" "$place/bounded" "$place/go" "$place/go-failed" "$place"/*.new.*
        if read_lease && [ "$lease_kind $lease_run" = "run $run" ]; then rm -f "$place/lease"; fi
    fi
    rmdir "$roots" 2>/dev/null
    return 0
}

# Whether next boot and entry are this run's, or nobody's any more.
is_ours_to_take() {
    ! find_trial_entry || ! entry_is_of "$run" || return 0
    for other_folder in "$trials"/*; do
        [ ! -d "$other_folder" ] || [ "$other_folder" = "$folder" ] || return 1
    done
}

# What the line, or the old boot's guard, has set for this boot. One that was ended has done it.
clean_values() {
    of_trial "$run" || return 0
    panic_back
    [ "$line_run" != "$run" ] || watchdog_back
}

# It goes last, and all at once, or is a mark from then on.
clean_survivor() {
    rm -rf "$trials/.gone"
    if [ ! -d "$folder" ]; then
        rmdir "$trials" 2>/dev/null
        return 0
    fi
    read_plan tried "$folder/plan"
    clean_tried=$planned
    # Whatever is booted: what a reboot brings is not what the profile says, and only this tells why.
    if [ -n "$clean_tried" ] && [ "$profile" = "$clean_tried" ] && [ "$boot_default" != "$clean_tried" ] &&
        [ ! -e "$folder/proven" ]; then
        if ! write_failed; then
            fail_to_write
            return 1
        fi
        # `plan` says of what it is the mark.
        rm -f "$folder/new" "$folder/guard.sh" "$folder/begin.sh" "$folder/entry" "$folder/kept-by-firmware" \
            "$folder/proven" "$folder/over" "$folder/witness" "$folder/started"
        return 0
    fi
    # Under another name first: half of it would be taken for one that guards.
    if ! { mv -T "$folder" "$trials/.gone" && rm -rf "$trials/.gone"; }; then
        fail "cannot remove $folder"
        return 1
    fi
    rmdir "$trials" 2>/dev/null
    return 0
}

# The first word stays: later ones know less.
write_failed() {
    [ ! -e "$folder/failed" ] || return 0
    {
        printf '%s\n' "${why:-it was not proven}" | tr -d '\000-\011\013-\037\177' | head -n 1
    } 2>/dev/null >"$folder/failed.new" && [ -s "$folder/failed.new" ] && timeout -k 1 10 sync "$folder/failed.new" &&
        mv -f "$folder/failed.new" "$folder/failed" && timeout -k 1 10 sync "$folder"
}
