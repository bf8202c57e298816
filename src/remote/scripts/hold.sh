# shellcheck shell=sh
# hold RUN OWNER BOOT_ID LATEST SECONDS: a rolling reboot holds this host, for SECONDS from now on this boot, and on any
# later one until that has lasted SECONDS. With `-` for LATEST it only goes on to: refused where it does not hold the
# host any more.
#
# So no reboot of ours, and no restart of the host by itself, lets go of it; a workstation that has died lets go in
# time. LATEST is this host's clock: a command that was held up on its way takes nothing. The guard of a trial of this
# very run does not refuse it.
# Needs lib.sh and boot.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    demand is_number "$5"
    [ "$4" = - ] || demand is_number "$4"
    with_lock hold "$@" || fail "cannot get the lock of $place"
    print_standing
    finish
}

hold() {
    read_token
    read_plan run
    hold_tries=$planned
    read_plan action
    [ "$planned" = trial ] || hold_tries=''
    if ! same_boot "$3"; then
        refuse other_boot "this host has restarted: its boot id is $boot_id, not $3"
    elif read_lease && [ "$lease_kind $lease_run" != "reboot $1" ] && [ "$lease_run $hold_tries" != "$1 $1" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    # While it tries this host it has a lease beside its hold, which is another one's, or none, all the same.
    elif [ "$lease_kind" = run ] && read_hold && [ "$lease_run" != "$1" ]; then
        refuse foreign_lease "run $lease_run of $lease_owner holds this host"
    elif [ "$4" = - ] && [ -z "$lease_run" ]; then
        hold_text="rolling reboot $1 does not hold this host any more"
        refuse ended "$hold_text: its time is over, or it was ended from elsewhere"
    elif [ "$hold_tries" != "$1" ] && { [ "$token_state" = armed ] || unit_lives fleetdeploy-guard.service; }; then
        refuse foreign_guard "a guard is on this host"
    else
        read_uptime
        if [ "$4" != - ] && [ "$uptime" -gt "$4" ]; then
            refuse too_late "the command came $((uptime - $4)) s too late"
        else
            write_reboot_lease "$1" "$5" "$2" || fail "cannot write $reboot_lease"
        fi
    fi
    return 0
}

# write_reboot_lease RUN SECONDS OWNER: it is on the disk before the answer goes out, because a power cut may come next.
write_reboot_lease() {
    mkdir -p "$roots" &&
        printf '%s %s %s %s %s\n' "$1" "$boot_id" "$((uptime + $2))" "$2" "$3" |
        tr -d '\000-\011\013-\037\177' >"$reboot_lease.new" &&
        timeout -k 1 10 sync "$reboot_lease.new" &&
        mv -f "$reboot_lease.new" "$reboot_lease" && timeout -k 1 10 sync "$roots"
}
