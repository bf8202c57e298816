# shellcheck shell=sh
# arm_trial RUN OWNER BOOT_ID LATEST BOOTED TRIED GUARD SECONDS TUNING LIB GUARD BEGIN
#
# Lays down all that guards a boot of TRIED, where it outlives the reboot, and arms a guard in this boot, which fires
# after GUARD seconds; the one of the trial fires SECONDS after the start of its kernel. Nothing of the boot loader is
# moved yet. The hold of the rolling reboot stays.
#
# Refused unless the boot, the host's clock (not past LATEST), the hold and the systems are what they were: TRIED
# everywhere, or the profile alone after a trial of it. Asked again it answers with the guard that is there.
# Needs lib.sh, traces.sh, boot.sh, boot_once.sh and trials.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_store_path "$5" "$6"
    demand is_number "$4" "$7" "$8"
    run=$1 wanted_boot_id=$3 latest=$4 old=$5 new=$6 guard_seconds=$7 seconds=$8 tuning=$9
    owner_name "$2"
    shift 9
    lib_text=$1 guard_text=$2 begin_text=$3 folder=$trials/$run
    with_lock arm || fail "cannot get the lock of $place"
    print_standing
    finish
}

arm() {
    read_uptime
    on_boot "$wanted_boot_id" || return 0
    read_token
    if of_trial "$run"; then
        case $token_state in
        armed)
            # Ours already. A unit that died is started again, with the deadline it had.
            unit_lives fleetdeploy-guard.service || start_guard
            return 0
            ;;
        none) ;;
        *)
            refuse other "the guard of this trial was $token_state already: the command came late"
            return 0
            ;;
        esac
    fi
    # One of its own, without a token, is of an arming that was cut off.
    if read_lease && [ "$lease_kind" = run ] && { [ "$lease_run" != "$run" ] || ! of_trial "$run"; }; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
        return 0
    fi
    holds_for "$run" || return 0
    read_line_run
    ask_systemd
    if [ "$uptime" -gt "$latest" ]; then
        refuse too_late "the command came $((uptime - latest)) s too late"
    elif [ "$line_run" = "$run" ]; then
        refuse other "this is the boot of the trial already"
    elif [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse foreign_guard "a guard is on this host"
    elif goes_nowhere && nothing_at_work && stands_for_trial; then
        arm_anew
    fi
    return 0
}

# stands_for_trial: refuses aloud if not.
stands_for_trial() {
    read_systems
    case $loader:${grub_reads_ours-} in
    systemd-boot:* | grub:first) ;;
    *)
        refuse other "no system is tried by $loader"
        return 1
        ;;
    esac
    if [ "$booted" != "$old" ]; then
        refuse moved "$booted was booted, not $old"
        return 1
    elif [ "$old" = "$new" ]; then
        refuse other "$new was booted already"
        return 1
    fi
    boots_as_default || return 1
    case "$current|$profile|$boot_default" in
    "$new|$new|$new") ;;
    "$old|$new|$old")
        if ! was_tried; then
            refuse moved "the boot default is not what runs, and no trial of it was here"
            return 1
        fi
        ;;
    *)
        refuse moved "the current system is $current, the profile $profile, the boot default ${boot_default:-not known}"
        return 1
        ;;
    esac
    # An installer makes an entry of a generation alone, and the default of none else.
    find_generation "$old"
    if [ -z "$found_generation" ]; then
        refuse other "$old is no generation any more: it could not become the boot default"
        return 1
    fi
}

was_tried() {
    for tried_plan in "$trials"/*/plan; do
        read_plan tried "$tried_plan"
        [ "$planned" != "$new" ] || return 0
    done
    return 1
}

# find_generation SYSTEM: $found_generation, its number; empty: it is none.
find_generation() {
    found_generation=''
    for found_link in "$profiles"/system-*-link; do
        read_link "$found_link"
        found_number=${found_link##*/system-}
        found_number=${found_number%-link}
        [ "$link" != "$1" ] || ! is_number "$found_number" || found_generation=$found_number
    done
}

arm_anew() {
    # What a run has left in /run that has given this host back would be taken for ours.
    rm -rf "$place/token" "$place/jobs" "$place/fired-at" "$place/reactivated" "$place/go" "$place/go-failed"
    deadline=$((uptime + guard_seconds))
    if write_survivor && clean_older && write_volatile; then
        # A crashed machine must not stand still for ever.
        set_panic 30
        mkdir -p "$place/token" "$place/jobs"
        : >"$place/token/armed-$deadline"
        start_guard && return
    else
        fail_to_write
    fi
    # Nothing may look armed that is not.
    rm -rf "$place/token"
    rm -f "$place/lease"
    panic_back
}

# On the disk as a whole, before anything leans on it. The plan comes last: without it there is no survivor.
write_survivor() {
    survivor_panic=''
    if of_trial "$run"; then
        read_plan panic
        survivor_panic=$planned
    fi
    [ -n "$survivor_panic" ] || read -r survivor_panic <"$root/proc/sys/kernel/panic" || survivor_panic=0
    # One that could not be given back is not taken (trial_parameters).
    survivor_watchdog=''
    ! takes_watchdog "$new" || survivor_watchdog=$(
        exec timeout 10 busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
            org.freedesktop.systemd1.Manager RuntimeWatchdogUSec 2>/dev/null
    )
    survivor_watchdog=${survivor_watchdog#t }
    is_number "$survivor_watchdog" || survivor_watchdog=-
    # Programs of the old system, which its root keeps alive. One path on each line, also of what is not there.
    survivor_shell=$root$old/sw/bin/sh
    [ -x "$survivor_shell" ] || survivor_shell=/bin/sh
    # shellcheck disable=SC2046
    set -- $(exec readlink -m "$root$old/sw" "$root$old/systemd" "$survivor_shell")
    [ $# -eq 3 ] || return
    set -- "run $run" "epoch $trial_epoch" "owner $owner_name" "action trial" "roots .trial" "booted $old" \
        "booted_generation $found_generation" "tried $new" "tried_generation $generation" "old_boot $boot_default" \
        "old_current $current" "old_profile $profile" "old_generation $generation" "boot_loader ${told_loader:--}" \
        "seconds $seconds" "panic $survivor_panic" "watchdog $survivor_watchdog" \
        "path $1/bin:$2/bin:/usr/sbin:/usr/bin:/sbin:/bin" "shell $3"
    read_tuning "$tuning"
    IFS='
'
    # shellcheck disable=SC2086 # lines
    set -- "$@" $tuned
    unset IFS
    mkdir -p "$folder" 2>/dev/null && ln -sfn "$old" "$folder/old" && ln -sfn "$new" "$folder/new" || return
    # Of a trial that was cut off here.
    rm -f "$folder/plan" "$folder/entry" "$folder/kept-by-firmware" "$folder/trace" "$folder/proven" "$folder/over" \
        "$folder/failed" "$folder/witness" "$folder/started"
    write_lines "$folder/guard.sh" "$lib_text" "$guard_text" &&
        write_lines "$folder/begin.sh" "$lib_text" "$begin_text" &&
        printf '%s\n' "$@" 2>/dev/null >"$folder/plan.new" &&
        sync_traces "$folder/guard.sh" "$folder/begin.sh" "$folder/plan.new" "$folder" &&
        mv -f "$folder/plan.new" "$folder/plan" && sync_traces "$folder" "$trials" "$roots" "${roots%/*}"
}

# Trials that are over, once the new survivor is there: it says what they said. No next boot is set here.
clean_older() {
    for older_folder in "$trials"/*; do look_at_witness "$older_folder"; done
    dismiss_witness
    for older_folder in "$trials"/*; do
        if [ ! -d "$older_folder" ] || [ "$older_folder" = "$folder" ]; then continue; fi
        remove_trial_entry || return
        rm -rf "$older_folder"
    done
}

write_volatile() {
    volatile_plan=$(exec cat "$folder/plan") || return
    write_lines "$place/plan" "$volatile_plan" "boot_id $boot_id" &&
        write_lines "$place/guard.sh" "$lib_text" "$guard_text" &&
        write_lines "$place/lease" "$run $trial_epoch $owner_name"
}
