# shellcheck shell=sh
# What the guard does for a trial, after guard.sh in its file: in the old boot it goes, or gives up and leaves this boot
# as it is; in the trial it goes back by a reboot, or stays. It never activates anything and never moves the profile:
# what was booted before, on the kernel of what is tried, is neither of the two.
# Needs lib.sh, boot.sh, boot_once.sh, trials.sh and restore.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and guard.sh's

# attend: at each look while the token is armed; fails where the deadline does not matter, and is to be looked again.
attend() {
    if [ -z "${attended-}" ]; then
        load_old || return 0
        folder=$roots/$run
        read_plan booted
        old=$planned
        read_plan tried
        new=$planned
        read_line_run
        attended=old
        [ "$line_run" != "$run" ] || attended=trial
    fi
    case $attended in
    old) ! is_going || follow_order ;;
    trial)
        # The tried system's own setting comes after this unit's beginning.
        set_panic 30
        [ -n "${next_boot_is_empty-}" ] || look_at_next_boot
        return 0
        ;;
    esac
}

# ---- the trial: a next boot that was kept ----

# A firmware that keeps it would boot it again and again. Only the variable is read: the ESP may not be mounted, and
# where a look would mount it, that look may hang.
look_at_next_boot() {
    # The loader leaves its name there in each boot: with it, what is not there was taken back.
    [ -e "$root$efi_variables/LoaderInfo-$systemd_boot_vendor" ] || return 0
    if ! read_efi_variable LoaderEntryOneShot; then
        next_boot_is_empty=yes
    elif [ "$efi_value" = "$trial_entry" ]; then
        { true >"$folder/kept-by-firmware" && timeout -k 1 10 sync "$folder"; } 2>/dev/null
        delete_efi_variable LoaderEntryOneShot "$systemd_boot_vendor"
    fi
}

# ---- the old boot: the order to go ----

# Sets our entry as the next boot, and reboots, as often as this is started: the deadline does not matter then. It does
# again once that has failed.
follow_order() {
    with_lock choose_trial
    case $? in
    0)
        timeout -k 1 "$sync_limit" sync
        reboot_this_host
        return 1
        ;;
    # No lock: the order stands.
    75)
        nap 1
        return 1
        ;;
    esac
}

# All of it at once, so that no installer's work of ours and no clean-up comes between.
choose_trial() {
    read_token
    is_going && [ "$token_state $go_run" = "armed $run" ] || return 1
    read_systems
    choose_lack=''
    if [ "$boot_default" != "$old" ]; then
        choose_lack="the boot default is ${boot_default:-not known}, not $old"
    elif ! find_trial_entry; then
        choose_lack="our boot entry is gone"
    else
        read_past_cache "$entry_file"
        if [ -z "$past_cache" ] || [ "$past_cache" != "$(exec cat "$folder/entry" 2>/dev/null)" ]; then
            choose_lack="our boot entry is not as it was written"
        elif [ -e "$root$efi_variables/BootNext-$firmware_vendor" ]; then
            choose_lack="the firmware's own next boot is set, and not by us"
        elif [ -n "$next_boot" ] && ! boots_once "$new"; then
            choose_lack="the next boot is $next_boot, and not of our making"
        elif ! set_trial_once "$new"; then
            choose_lack="the next boot cannot be set, or is not read back as it was set"
        fi
    fi
    [ -n "$choose_lack" ] || return 0
    unset_trial_once || choose_lack="$choose_lack; the next boot is $next_boot, and cannot be emptied"
    write_lines "$place/go-failed" "$choose_lack"
    return 1
}

# ---- it fires ----

# fire_trial: the plan is a trial's.
fire_trial() {
    if ! load_old; then
        # Damaged, or gone. In a trial a reboot needs no plan, and the line alone says that this is one.
        read_line_run
        if [ -z "$line_run" ] || [ -e "$trial_over" ]; then
            # In the old boot what outlives it says the same.
            set -- "$trials"/*/plan
            { [ $# -eq 1 ] && [ -e "$1" ] && write_lines "$place/plan" "$(exec cat "$1")" && load_old; } || return 0
            fire_trial
            return
        fi
        folder=$trials/$line_run
        [ -e "$folder/proven" ] || reboot_this_host
        with_lock stop_trying "$folder"
        return 0
    fi
    folder=$roots/$run
    read_plan booted
    old=$planned
    read_plan tried
    new=$planned
    read_line_run
    mkdir -p "$place/jobs"
    fire_log=$place/jobs/guard.log
    true >>"$fire_log" || fire_log=/dev/null
    read_lease
    found='the boot before the trial' whom=''
    [ "$line_run" != "$run" ] || found='the boot of the trial'
    # After this no step can begin any more, and one that began has said so; and no order to go is followed.
    with_lock turn_down
    if [ "$line_run" = "$run" ]; then fire_in_trial; else fire_before; fi
}

turn_down() {
    ! read_go || [ -n "$go_failed" ] || write_lines "$place/go-failed" "the deadline came first"
}

# In the old boot: nothing but the loader was touched, and that is as it was before.
fire_before() {
    trace "has begun"
    fire_try=0
    while [ "$fire_try" -lt "$tries" ]; do
        fire_try=$((fire_try + 1))
        wait_for_job "$job_wait" >>"$fire_log" 2>&1
        with_lock take_entry_away >>"$fire_log" 2>&1
        take_status=$?
        restored=yes
        read_systems
        fire_says="the boot default is $old_boot again"
        if [ -n "$boot_default" ] && [ "$profile" != "$new" ] && [ "$boot_default" = "$profile" ]; then
            # All that register has done is overruled by it.
            fire_says="somebody has moved this host to $profile, and that stays"
        else
            # A next boot of ours that cannot be emptied has its entry and its guard, and the boot default behind it.
            restore_boot "$boot_limit" >>"$fire_log" 2>&1 || restored=no
        fi
        if [ "$take_status $restored" = '0 yes' ]; then
            with_lock give_up
            trace "$fire_says, and nothing of the trial is booted; no reboot"
            return 0
        fi
        fire_left="the boot default is ${boot_default:-not known}${next_boot:+, the next boot $next_boot}"
        [ "$take_status" -eq 0 ] || fire_left="$fire_left; our boot entry may be there"
        trace "NOT all could be put back (try $fire_try of $tries): $fire_left"
        nap 30
    done
    with_lock give_up
    return 0
}

take_entry_away() {
    read_systems
    remove_trial_entry
}

# The lease goes with the guard: nobody could outbid it. The rolling reboot's, which stays, has a clock.
give_up() {
    panic_back
    if read_lease && [ "$lease_kind $lease_run" = "run $run" ]; then rm -f "$place/lease"; fi
}

# In the trial: back by a reboot, whatever else fails, unless it is proven by now or a reboot is known to be worse.
fire_in_trial() {
    wait_for_job "$job_wait" >>"$fire_log" 2>&1
    if [ -e "$folder/proven" ]; then
        with_lock stop_trying "$folder"
        trace "what was tried is proven: it stays, without a reboot"
        return 0
    fi
    bounded 30 trace "goes back"
    # Each in a process of its own: what hangs there, a mount or a disk, holds up no reboot.
    bounded "$((boot_limit + 30))" put_loader_back
    bounded 30 empty_ours
    bounded 60 would_come_up
    if [ "$bounded_status" -eq 1 ]; then
        with_lock stop_trying "$folder"
        fire_bad=$(exec tail -n 1 "$fire_log")
        trace "NOT rebooting: what a reboot brings is known to be bad: $fire_bad"
        return 0
    fi
    bounded 30 trace "reboots"
    timeout -k 1 "$sync_limit" sync
    reboot_this_host
}

# The installer of what was booted before, and once: only where the boot default is known and another, by a step that
# failed half-way, or by a person.
put_loader_back() {
    read_systems
    case $boot_default in '' | "$old") return 0 ;; esac
    echo "boot default: it is $boot_default; back to $old"
    remove_stale_loader_files
    switch_to "$old" boot "$boot_limit" NIXOS_NO_CHECK=1
    read_systems
    echo "boot default: it is ${boot_default:-not known}"
}

empty_ours() {
    look_at_next_boot
    read_systems
    [ -n "$next_boot" ] || return 0
    echo "the next boot was $next_boot"
    empty_next_boot
}

# Status 1 only where it is known that it would not.
would_come_up() {
    read_systems
    look_at_boot_files "$boot_default"
    case $boot_files in
    bad*)
        echo "${boot_files#bad }"
        return 1
        ;;
    esac
}

# bounded SECONDS COMMAND…: a function in a process of its own, for at most so long; $bounded_status, 124 where it was
# left to itself. Without the guard's own timer: bash reads it.
bounded() {
    bounded_limit=$1
    shift
    read_uptime
    bounded_end=$((uptime + bounded_limit))
    rm -f "$place/bounded"
    (
        "$@"
        echo $? >"$place/bounded"
    ) </dev/null >>"$fire_log" 2>&1 &
    bounded_process=$!
    bounded_status=124
    while :; do
        if read_line "$place/bounded"; then
            bounded_status=$line
            return 0
        fi
        read_uptime
        # No memory for a process: it never began.
        if [ "$uptime" -ge "$bounded_end" ] || ! kill -0 "$bounded_process" 2>/dev/null; then
            read_line "$place/bounded" && bounded_status=$line && return 0
            kill -s KILL "$bounded_process" 2>/dev/null
            return 0
        fi
        nap 1
    done
}
