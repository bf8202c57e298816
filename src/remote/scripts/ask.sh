# shellcheck shell=sh
# ask RUN: how this host stands, and whether anything of the run is left on it. Changes nothing.
# Needs lib.sh and boot.sh.

main() {
    demand is_run "$1"
    still_here "$1" || :
    print_standing
    finish
}
