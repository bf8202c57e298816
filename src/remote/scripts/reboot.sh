# shellcheck shell=sh
# reboot RUN BOOT_ID CURRENT PROFILE BOOT_DEFAULT: reboots this host in order, if it is on that boot and stands where it
# is expected, would come up again, rolling reboot RUN holds it (see hold.sh), and neither a switch nor another shutdown
# is under way.
#
# The boot id is the fence: a command that was held up on its way finds another boot and does nothing. Answers before
# the way is gone. `-i`: no inhibitor counts, as with a guard. Never kexec, which would skip the loader, nor a
# soft-reboot, which would keep the kernel. The boot of a trial of RUN that has no guard is left also beside what RUN
# has put there. Needs lib.sh, boot.sh and boot_once.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    demand is_expectation "$3" "$4" "$5"
    print_standing
    # Not with the lock: it reads whole files.
    look_at_boot_files "$boot_default"
    reboot_files=$boot_files
    with_lock reboot_once "$@" || fail "cannot get the lock of $place"
    finish
}

reboot_once() {
    read_token
    read_line_run
    reboot_leaves=no
    [ "$line_run" != "$1" ] || [ -e "$trial_over" ] || unit_lives fleetdeploy-guard.service || reboot_leaves=yes
    if ! same_boot "$2"; then
        refuse other_boot "this host has restarted: its boot id is $boot_id, not $2"
    elif [ "$reboot_leaves" = yes ] && leave_trial "$1"; then
        [ -n "$reboot_left" ] || reboot_now "$3" "$4" "$5"
    elif ! read_lease; then
        reboot_text="rolling reboot $1 does not hold this host any more"
        refuse ended "$reboot_text: its time is over, or it was ended from elsewhere"
    elif [ "$lease_kind $lease_run" != "reboot $1" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    elif [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; then
        refuse foreign_guard "a guard is on this host"
    else
        reboot_now "$3" "$4" "$5"
    fi
    return 0
}

# leave_trial RUN: this is the boot of its trial, and no guard is in it: neither its lease nor its token is in the way,
# and a next boot of its own, which would bring it again, is emptied. $reboot_left is what refused.
leave_trial() {
    reboot_left=''
    read_lease || :
    case $lease_run in '' | "$1") ;; *) return 1 ;; esac
    read_systems
    if ! unset_trial_once; then
        reboot_left="the next boot is $next_boot, and cannot be emptied"
        refuse moved "$reboot_left"
    fi
}

# reboot_now CURRENT PROFILE BOOT_DEFAULT
reboot_now() {
    if switch_runs; then
        refuse busy "$switch_text on this host"
    elif shutdown_due; then
        refuse busy "$shutdown_text on this host"
    elif stands_on "$1" "$2" "$3" && boots_as_default && comes_up; then
        # The next boot shows whether it still forgets.
        if [ -e "${forgetful-}" ]; then set_witness; fi
        reboot_said=$(
            SYSTEMCTL_SKIP_AUTO_KEXEC=1 SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1
            export SYSTEMCTL_SKIP_AUTO_KEXEC SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT
            exec timeout -k 1 20 systemctl reboot -i --no-wall --no-block 2>&1
        ) || fail "systemctl reboot: $reboot_said"
    fi
    return 0
}

comes_up() {
    case $reboot_files in bad*) ;; *) return 0 ;; esac
    refuse other "a reboot would not come up: ${reboot_files#bad }"
    return 1
}
