# shellcheck shell=sh
# go RUN BOOT_ID: the order to reboot into what is tried. It is a file, and the guard does the rest: it sets our entry
# as the next boot, reads that back, and reboots, as often as it is started. Answers before that.
#
# Refused unless the trial is registered, and its guard is armed, alive, and has a minute left. Done already is done.
# Needs lib.sh, boot.sh and trials.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    with_lock go "$@" || fail "cannot get the lock of $place"
    standing_units=no
    print_standing
    finish
}

go() {
    on_boot "$2" && has_trial "$1" || return 0
    read_line_run
    if [ "$line_run" = "$1" ]; then
        refuse other "this is the boot of the trial already"
        return 0
    fi
    if read_go && [ "$go_run" = "$1" ]; then
        [ -z "$go_failed" ] || refuse other "the guard could not do it: $go_failed"
        return 0
    fi
    holds_for "$1" || return 0
    ask_systemd
    guarded_for 60 && nothing_at_work || return 0
    read_job register
    if [ "$job_state" != 'exited 0' ]; then
        refuse other "the trial is not registered on this host (register: $job_state)"
        return 0
    fi
    # The whole of it at once: the guard reads it without the lock.
    write_lines "$place/go" "$1 $boot_id" || fail_to_write
    return 0
}
