# shellcheck shell=sh
# standing: how this host stands: systems, guard, lease, steps, units. Changes nothing.
# Needs lib.sh and boot.sh.

main() {
    print_standing
    finish
}
