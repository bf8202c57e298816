# shellcheck shell=sh
# let_go RUN: the rolling reboot RUN holds this host no more. Done already is done. Refused while a guard of its trial
# is armed here, or is about to go.
# Needs lib.sh and boot.sh.
# shellcheck disable=SC2154 # their variables

main() {
    demand is_run "$1"
    with_lock let_go "$1" || fail "cannot get the lock of $place"
    print_standing
    finish
}

# A lease that is over goes too.
let_go() {
    [ -e "$reboot_lease" ] || return 0
    read -r let_go_run _ <"$reboot_lease" || :
    [ "$let_go_run" = "$1" ] || return 0
    read_token
    read_plan run
    if [ "$token_state $planned" = "armed $1" ]; then
        refuse other "a guard of this run is armed on this host"
        return 0
    elif is_going && [ "$go_run" = "$1" ]; then
        refuse busy "this host is about to reboot into what is tried"
        return 0
    fi
    rm -f "$reboot_lease" || fail "cannot remove $reboot_lease"
    rmdir "$roots" 2>/dev/null || timeout -k 1 10 sync "$roots"
    return 0
}
