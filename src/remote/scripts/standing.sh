# shellcheck shell=sh
# standing RUN: how this host stands: systems, guard, lease, steps, units, and what is left of the run (`-`: of none).
# Changes nothing.
# Needs lib.sh and boot.sh.

main() {
    [ "$1" = - ] || demand is_run "$1"
    print_standing
    finish
}
