# shellcheck shell=sh
# booted SECONDS: how this host stands once everything that its boot starts has started, or SECONDS have passed. Changes
# nothing. Answers as standing.sh does, and with `kernel` and, where the boot has not ended, `starting`.
# Needs lib.sh and boot.sh.

main() {
    demand is_number "$1"
    # Any state counts that is not on the way: units that have failed are in the standing.
    booted_state=$(exec timeout -k 1 "$1" systemctl is-system-running --wait 2>/dev/null)
    case $booted_state in running | degraded | maintenance) ;; *) put starting "${booted_state:-starting}" ;; esac
    put kernel "$(exec uname -r)"
    print_standing
    finish
}
