# shellcheck shell=sh
# extend RUN EPOCH BOOT_ID SECONDS: the guard fires not before SECONDS from now. A deadline is never brought forward.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2" "$4"
    of_run=$1 seconds=$4
    with_lock extend "$1" "$2" "$3" || fail "cannot get the lock of $place"
    print_standing
    finish
}

extend() {
    if held_by "$1" "$2" "$3" && guarded_for 1; then
        deadline=$((uptime + seconds))
        if [ "$deadline" -gt "$token_deadline" ] && ! move_token armed "armed-$deadline"; then
            # Only the guard itself renames without the lock: it has just fired.
            guarded_for 1 && fail "the token could not be renamed"
        fi
    fi
    return 0
}
