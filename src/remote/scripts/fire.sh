# shellcheck shell=sh
# fire RUN BOOT_ID: the guard of the trial acts now, and does not wait for its deadline. Only the token is changed.
#
# Refused while the order to go is being followed. Done already is done. Needs lib.sh, boot.sh and trials.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    with_lock fire "$@" || fail "cannot get the lock of $place"
    standing_units=no
    print_standing
    finish
}

fire() {
    on_boot "$2" && has_trial "$1" || return 0
    read_token
    case $token_state in
    fired) return 0 ;;
    armed) goes_nowhere || return 0 ;;
    *)
        refuse no_guard "no guard is armed (it is $token_state)"
        return 0
        ;;
    esac
    move_token armed "fired-$token_deadline" || read_token
    # The guard itself may have been quicker.
    [ "$token_state" != armed ] || [ ! -e "$place/token/armed-$token_deadline" ] || fail "the token cannot be renamed"
    return 0
}
