# shellcheck shell=sh
# standing RUN yes|no: how this host stands: systems, guard, lease, steps, units (`no`: none of them), and what is left
# of the run (`-`: of none). Changes nothing.
# Needs lib.sh, traces.sh and boot.sh.
# shellcheck disable=SC2034 # print_standing asks for it

main() {
    if [ "$1" != - ]; then
        demand is_run "$1"
        of_run=$1
    fi
    standing_units=$2 quick_systems=yes
    print_standing
    finish
}
