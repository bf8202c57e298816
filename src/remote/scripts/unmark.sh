# shellcheck shell=sh
# unmark RUN EPOCH HOST: a host that was missing when the run was ended has been dealt with and goes out of the mark
# here; when no host is left in it the mark goes. `-`: the whole mark goes. Done already is done. Needs lib.sh,
# traces.sh and boot.sh.
# shellcheck disable=SC2034,SC2154 # their variables, and theirs to read

main() {
    demand is_run "$1"
    demand is_number "$2"
    [ "$3" = - ] || demand is_host_name "$3"
    run=$1 of_run=$1 epoch=$2 unmark_host=$3
    with_lock unmark || fail "cannot get the lock of $place"
    print_standing
    finish
}

unmark() {
    read_mark "$run" || return 0
    read_fence "$run"
    ! outbid "$epoch" || return 0
    set --
    for unmark_one in $mark_missing; do
        case $unmark_host in - | "${unmark_one%%:*}") ;; *) set -- "$@" "$unmark_one" ;; esac
    done
    if [ $# -gt 0 ]; then
        write_mark "$run" "$mark_side" "$epoch" "$@" || fail "cannot write the mark of $run (is the disk full?)"
        return 0
    fi
    # The traces of a clean-up that was cut off after its mark go first: with the mark no run could begin anything with
    # it.
    if ! read_lease || [ "$lease_run" != "$run" ]; then
        rm -rf "${roots:?}/${run:?}"
    fi
    rm -f "$roots/.ended/$run" || fail "cannot remove the mark of $run"
    rmdir "$roots/.ended" "$roots" 2>/dev/null
    return 0
}
