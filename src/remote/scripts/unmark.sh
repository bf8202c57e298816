# shellcheck shell=sh
# unmark RUN EPOCH HOST: takes a host out of the mark that the run's end has left here; `-`: the whole mark goes.
# Needs lib.sh and boot.sh.

main() {
    demand is_run "$1"
    demand is_number "$2"
    [ "$3" = - ] || demand is_host_name "$3"
    print_standing
    finish
}
