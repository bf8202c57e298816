# shellcheck shell=sh
# tend RUN BOOT_ID: a guard of the trial that is gone is started again. Its deadline stays, and nobody takes anything
# over: so it serves every workstation. Done already is done. Needs lib.sh, boot.sh and trials.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    with_lock tend "$@" || fail "cannot get the lock of $place"
    print_standing
    finish
}

tend() {
    on_boot "$2" && has_trial "$1" || return 0
    run=$1
    read_token
    case $token_state in armed | fired) ;; *)
        refuse no_guard "no guard is armed (it is $token_state)"
        return 0
        ;;
    esac
    unit_lives fleetdeploy-guard.service || start_guard fired
    return 0
}
