# shellcheck shell=sh
# ask RUN: how this host stands, and whether anything of the run is left on it. Changes nothing.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034 # print_standing asks for it

main() {
    demand is_run "$1"
    of_run=$1
    still_here "$1" || :
    print_standing
    finish
}
