# shellcheck shell=sh
# end_trial RUN BOOT_ID: the trial ends on what was tried, without a reboot: one rename of the token, and nothing of it
# acts in this boot any more. Refused unless that is proven, and runs, is the profile's and the boot default.
#
# Asked again, it is answered from the token: disarmed, or fired beside the proof, for its guard ends it in the same
# way. Needs lib.sh, boot.sh and trials.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    quick_systems=yes
    with_lock end_trial "$@" || fail "cannot get the lock of $place"
    standing_units=no
    print_standing
    finish
}

end_trial() {
    on_boot "$2" && has_trial "$1" || return 0
    read_token
    if [ "$token_state" = armed ]; then
        may_end "$1" || return 0
        move_token armed "disarmed-$token_deadline" || fail "the token cannot be renamed"
        read_token
    fi
    case $token_state in
    armed) return 0 ;;
    disarmed) ;;
    fired)
        if [ ! -e "$trials/$1/proven" ]; then
            refuse fired "the guard has fired, and nothing is proven"
            return 0
        fi
        ;;
    *)
        refuse no_guard "no guard was armed on this boot"
        return 0
        ;;
    esac
    if stop_trying "$trials/$1"; then
        # Only tidying: a disarmed token cannot fire.
        [ "$token_state" = fired ] || timeout 15 systemctl stop fleetdeploy-guard.service 2>/dev/null
    else
        fail "cannot write $trial_over"
    fi
    return 0
}

# may_end RUN: refuses aloud if not.
may_end() {
    read_line_run
    if [ "$line_run" != "$1" ]; then
        refuse other "this is not the boot of the trial"
        return 1
    elif [ ! -e "$trials/$1/proven" ]; then
        refuse other "nothing is proven"
        return 1
    fi
    goes_nowhere || return 1
    read_plan tried
    stands_on "$planned" "$planned" "$planned" || return 1
    if [ "$booted" != "$planned" ]; then
        refuse moved "$booted was booted, not $planned"
        return 1
    fi
    ask_systemd
    if unit_lives fleetdeploy-job.service fleetdeploy-rollback.service; then
        refuse busy "a step is still at work"
        return 1
    fi
    systemd_says=''
}
