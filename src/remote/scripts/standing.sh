# shellcheck shell=sh
# standing RUN: how this host stands: systems, guard, lease, steps, units, and what is left of the run (`-`: of none).
# Changes nothing.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034 # print_standing asks for it

main() {
    if [ "$1" != - ]; then
        demand is_run "$1"
        of_run=$1
    fi
    print_standing
    finish
}
