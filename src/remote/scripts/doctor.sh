# shellcheck shell=sh
# doctor CACHE KEY: the status, and everything else that could stop a push. One round trip, changes nothing. CACHE:
# where the host looks for its own system, an address, `own` or `-`; see put_caches. KEY: the public key that it takes
# there beside its own, or `-`.
# Needs what status.sh needs, caches.sh, and status.sh, whose `main` this one takes the place of.
# shellcheck disable=SC2154 # their variables

main() {
    [ "$1" = - ] || demand is_store "$1"
    demand is_cache_key "$2"
    survey_all
    status_all
    # The user who has logged in, before sudo (run0 sets the same) or doas.
    put login "${SUDO_USER:-${DOAS_USER:-$(exec id -un)}}"
    doctor_sshd
    # The keys whose signatures Nix takes here.
    doctor_keys=$(nix_setting trusted-public-keys)
    [ -z "$doctor_keys" ] || printf '%s\n' "$doctor_keys" | put_lines trusted_key
    [ "$2" = - ] || doctor_keys="$doctor_keys $2"
    put_caches "$1" "$current" "$doctor_keys"
    ip -o address show 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print "address", $4 }'
    for doctor_program in curl getent ip nix-daemon ping wg; do
        ! command -v "$doctor_program" >/dev/null || put program "$doctor_program"
    done
    # Last, so that it is as new as the answer.
    put now "$(exec date +%s)"
    finish
}

# `sshd KEY VALUE` of the settings that a push depends on, as the running sshd would read them.
doctor_sshd() {
    doctor_pid=$(exec timeout 5 systemctl show -p MainPID --value sshd.service 2>/dev/null)
    doctor_program=''
    [ "${doctor_pid:-0}" -le 0 ] || doctor_program=$(exec readlink "/proc/$doctor_pid/exe")
    # Started by its socket there is none that listens.
    [ -x "$doctor_program" ] || doctor_program=$(command -v sshd) || return 0
    # Its title is its command line: `sshd: /nix/store/.../bin/sshd -D -f /etc/ssh/sshd_config [listener] ...`.
    doctor_config=$(tr '\000' ' ' <"/proc/${doctor_pid:-0}/cmdline" 2>/dev/null | sed -n 's/.* -f \([^ ]*\).*/\1/p')
    timeout 5 "$doctor_program" -T -f "${doctor_config:-/etc/ssh/sshd_config}" 2>/dev/null |
        grep -E '^(maxsessions|maxstartups|allowtcpforwarding|disableforwarding|persourcepenalties) ' | put_lines sshd
}
