# shellcheck shell=sh
# disarm RUN EPOCH BOOT_ID CURRENT PROFILE BOOT_DEFAULT: one rename of the token, if the host stands where it should.
#
# After it no guard of this run will fire on this boot. Says done again when asked again. Refused when the guard has
# fired, when the host is not on the expected systems, and while a step is still at work.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2"
    demand is_expectation "$4" "$5" "$6"
    of_run=$1 quick_systems=yes
    with_lock disarm "$@" || fail "cannot get the lock of $place"
    standing_units=no
    print_standing
    finish
}

disarm() {
    held_by "$1" "$2" "$3" || return 0
    # Looked at before the rename: a host that would come up on something else is not left without its guard.
    stands_on "$4" "$5" "$6" || return 0
    ask_systemd
    if unit_lives fleetdeploy-job.service fleetdeploy-rollback.service; then
        refuse busy "a step of this run is still at work"
        return 0
    fi
    systemd_says=''
    read_token
    # Before the rename, for a power cut may come between the two: then it is known what was to be kept. Not a reason to
    # leave a host to its guard whose fellows are disarmed already: where it cannot be written, that is said.
    read_link "$roots/$1/new"
    disarm_new=$link
    if [ "$token_state $4" = "armed $disarm_new" ]; then
        { true 2>/dev/null >"$roots/$1/committed" && within 5 sync "$roots/$1"; } || volatile
    fi
    [ "$token_state" != armed ] || move_token armed "disarmed-$token_deadline" || read_token
    case $token_state in
    armed | disarmed) ;;
    fired)
        refuse fired "the guard has fired"
        return 0
        ;;
    *)
        refuse no_guard "no guard was armed on this boot"
        return 0
        ;;
    esac
    # A commit: what has failed before it is held against no push any more.
    if [ -e "$roots/failed_units" ]; then
        [ "$4 $5 $6" != "$disarm_new $disarm_new $disarm_new" ] || rm -f "$roots/failed_units"
    fi
    # Only tidying: a disarmed token cannot fire.
    timeout 15 systemctl stop fleetdeploy-guard.service 2>/dev/null
    panic_back
    return 0
}
